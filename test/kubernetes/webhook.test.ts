import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import type { TLSSocket } from "node:tls";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { FakeTerminal, run } from "../cli/fake-terminal.ts";
import { Authority, hasOpenssl } from "../support/certificates.ts";
import type { CertificateFiles } from "../support/certificates.ts";
import { until } from "../support/until.ts";

const REVIEW = {
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: "u-1",
    operation: "CREATE",
    resource: { group: "", version: "v1", resource: "pods" },
    object: {
      metadata: { labels: { "agentruntime.dev/inject": "true" } },
      spec: { containers: [{ name: "main" }] },
    },
  },
};

test("what it cannot do without is named, all of it", async () => {
  const { code, stderr } = await run(["webhook", "--webhook-cert-file", "tls.crt"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /webhook.image \(AGENT_RUNTIME_WEBHOOK_IMAGE\), webhook.keyFile \(AGENT_RUNTIME_WEBHOOK_KEY_FILE\)/,
  );
  const files = ["--webhook-cert-file", "/nowhere/a", "--webhook-key-file", "/nowhere/b"];
  const nowhere = await run(["webhook", "--webhook-image", "image", ...files]);
  expect(nowhere.code).toBe(2);
  expect(nowhere.stderr).toMatch(/webhook.certFile: ENOENT.*\/nowhere\/a/);
});

test("it explains itself, with examples", async () => {
  const { code, stdout } = await run(["webhook", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/--webhook-image[^]*Examples:\n {2}agent_runtime webhook/);
});

describe.skipIf(!hasOpenssl())("over TLS (needs openssl)", () => {
  let authority: Authority;
  let [first, second, ended]: CertificateFiles[] = [];
  let terminal: FakeTerminal;
  let running: Promise<number>;
  let [url, status]: string[] = [];
  let agent: Agent;

  beforeAll(() => {
    authority = new Authority();
    first = authority.issue("first");
    second = authority.issue("second");
    ended = authority.issue("ended", { days: 0 });
  });
  afterAll(() => authority.remove());

  const at = (name: string): string => join(authority.folder, name);
  const put = ({ cert, key }: { readonly cert: string; readonly key: string }): void => {
    copyFileSync(key, at("tls.key"));
    copyFileSync(cert, at("tls.crt"));
  };

  beforeEach(async () => {
    put(first!);
    agent = new Agent({ ca: readFileSync(first!.authority), keepAlive: true });
    terminal = new FakeTerminal();
    running = runProgram(
      [
        "webhook",
        "--webhook-image=image",
        "--webhook-reload-ms=100",
        "--webhook-listen=127.0.0.1:0",
        "--webhook-status-listen=127.0.0.1:0",
        `--webhook-cert-file=${at("tls.crt")}`,
        `--webhook-key-file=${at("tls.key")}`,
      ],
      terminal,
    );
    const told = await until(() => / at (\S+), status at (\S+)\n/.exec(terminal.stdout.text));
    [, url, status] = told;
  });
  afterEach(async () => {
    agent.destroy();
    terminal.interrupt();
    expect(await running).toBe(0);
  });

  interface Told {
    readonly code: number;
    readonly body: Record<string, unknown>;
    /** Who the server said it is. */
    readonly name: string;
  }

  async function ask(
    body: string,
    { path = "", method = "POST", type = "application/json", by = agent } = {},
  ): Promise<Told> {
    return await new Promise((resolve, reject) => {
      const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
      const asked = request(new URL(path, url), { method, headers, agent: by }, (response) => {
        // Who goes on with an earlier connection is not told it again.
        const { subject } = (response.socket as TLSSocket).getPeerCertificate();
        const name = String(subject?.CN);
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const told = JSON.parse(text) as Record<string, unknown>;
          resolve({ code: response.statusCode!, body: told, name });
        });
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  const look = async (page: string): Promise<{ readonly code: number; readonly text: string }> => {
    const response = await fetch(status + page);
    return { code: response.status, text: await response.text() };
  };

  test("an API server that trusts the authority is answered, another one goes away", async () => {
    const { code, body, name } = await ask(JSON.stringify(REVIEW), { path: "?timeout=5s" });
    expect({ code, name }).toEqual({ code: 200, name: "first" });
    expect(body).toMatchObject({
      kind: "AdmissionReview",
      response: {
        uid: "u-1",
        allowed: true,
        patchType: "JSONPatch",
        warnings: [expect.stringContaining("no label agentruntime.dev/agent")],
      },
    });
    await expect(ask("{}", { by: new Agent() })).rejects.toThrow(/certificate/);
    expect((await look("/metrics")).text).toContain(
      'agent_runtime_webhook_reviews_total{outcome="injected"} 1',
    );
  });

  test("bad input is answered with what is wrong, and the next question is answered well", async () => {
    const big = JSON.stringify({ ...REVIEW, padding: "x".repeat(8 * 1024 * 1024) });
    const answers = [
      await ask("{", {}),
      await ask("{}", {}),
      await ask("{}", { type: "text/plain" }),
      await ask("{}", { path: "/v1/other" }),
      await ask("", { method: "GET" }),
    ];
    expect(answers.map(({ code, body }) => `${code} ${String(body["code"])}`)).toEqual([
      "400 INVALID_JSON",
      "400 INVALID_REQUEST",
      "415 UNSUPPORTED_MEDIA_TYPE",
      "404 ROUTE_NOT_FOUND",
      "405 METHOD_NOT_ALLOWED",
    ]);
    // It may be gone before all of it was sent.
    const tooBig = await ask(big).then(
      ({ code }) => code,
      (error: unknown) => (error as Error).message,
    );
    expect([413, "write EPIPE", "read ECONNRESET", "socket hang up"]).toContain(tooBig);
    expect((await ask(JSON.stringify(REVIEW))).code).toBe(200);
    expect(await look("/healthz").then(({ text }) => JSON.parse(text) as object)).toMatchObject({
      reviews: { bad: 2, injected: 1 },
    });
  });

  test("another certificate is served when the files change; a pair that does not fit is not", async () => {
    expect((await ask(JSON.stringify(REVIEW))).name).toBe("first");
    // The new certificate is there, and its key is not yet.
    copyFileSync(second!.cert, at("tls.crt"));
    const failures = async (): Promise<number> =>
      (JSON.parse((await look("/healthz")).text) as { reloadFailures: number }).reloadFailures;
    await until(async () => (await failures()) > 0, { what: "a pair that is refused" });
    const anew = (): Promise<Told> =>
      ask(JSON.stringify(REVIEW), { by: new Agent({ ca: readFileSync(first!.authority) }) });
    expect((await anew()).name).toBe("first");
    copyFileSync(second!.key, at("tls.key"));
    await until(async () => (await anew()).name === "second", { what: "the second certificate" });
    // Who is connected stays so.
    expect((await ask(JSON.stringify(REVIEW))).code).toBe(200);
    expect(terminal.stderr.text).toMatch(/is not that of the certificate/);
    expect(terminal.stderr.text).toMatch(/another certificate is served/);
    writeFileSync(at("tls.crt"), "no PEM");
    await until(() => /cannot be read as PEM/.test(terminal.stderr.text), { what: "a refusal" });
    expect((await anew()).name).toBe("second");
  });

  test("with a certificate that has ended it is alive and not ready", async () => {
    expect((await look("/readyz")).code).toBe(200);
    put(ended!);
    await until(async () => (await look("/readyz")).code === 503, { what: "not ready" });
    expect((await look("/healthz")).code).toBe(200);
    expect((await look("/nothing")).code).toBe(404);
  });
});
