import { request } from "node:https";

/** What an API server answered. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What it has to say about it; empty: nothing. */
  readonly warning: string;
}

const SILENCE_MS = 300_000;
/** One that starts may take a question and never answer it. */
const START_SILENCE_MS = 5_000;

/** Everything that an administrator may ask an API server for, for tests. */
export class ClusterApi {
  readonly #server: URL;
  readonly #authority: string;
  readonly #token: string;

  constructor(server: URL, authority: string, token: string) {
    this.#server = server;
    this.#authority = authority;
    this.#token = token;
  }

  /** The body of an answer that is well; throws with what the API server says where it is not. */
  async ask<Body>(method: string, path: string, body?: object): Promise<Body> {
    const answer = await this.#send(method, path, body);
    if (answer.status < 300) return answer.body as Body;
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Whether it is there now; what was there before stays. */
  async make(path: string, body: object): Promise<void> {
    const { status, body: said } = await this.#send("POST", path, body);
    if (status >= 300 && status !== 409) throw new Error(`${path}: ${JSON.stringify(said)}`);
  }

  /** What it says to that, well or not. */
  async answer(method: string, path: string, body?: object): Promise<Answer> {
    return await this.#send(method, path, body);
  }

  /** Its form, or null where it is not there. */
  async find<Body>(path: string): Promise<Body | null> {
    const { status, body } = await this.#send("GET", path);
    if (status === 404) return null;
    if (status === 200) return body as Body;
    throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
  }

  /** The token of a service account, as the kubelet would put it into a pod. */
  async tokenOf(namespace: string, account: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const answer = await this.ask<{ readonly status: { readonly token: string } }>(
      "POST",
      path,
      body,
    );
    return answer.status.token;
  }

  async #send(method: string, path: string, body?: object): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return await new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.#server), {
        method,
        timeout: path === "/readyz" ? START_SILENCE_MS : SILENCE_MS,
        ca: this.#authority,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: "application/json",
          ...(text === undefined ? {} : { "content-type": type }),
        },
      });
      asked.on("timeout", () => asked.destroy(new Error(`${method} ${path}: no answer`)));
      asked.on("error", reject);
      asked.on("response", (answer) => {
        let said = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const isJson = /json/.test(answer.headers["content-type"] ?? "");
          resolve({
            status: answer.statusCode ?? 0,
            body: isJson ? JSON.parse(said) : said,
            warning: answer.headers["warning"] ?? "",
          });
        });
      });
      asked.end(text);
    });
  }
}
