// Callers of the service in a process of their own: its load is not the service's.
import { Agent, request } from "node:http";
import { load } from "../measure/load.ts";
import { makeDocuments, random } from "../parts/documents.ts";
import { idOf, ownKey, TYPE } from "../parts/keys.ts";

/** What the process is told to do. */
export interface HttpLoad {
  readonly url: string;
  readonly connections: number;
  readonly keys: number;
  readonly seconds: number;
}

const bodies = makeDocuments().map((data) => JSON.stringify({ type: TYPE, data }));
const versions: number[] = [];
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

process.on("message", (message) => void run(message as HttpLoad));
process.on("disconnect", () => process.exit());

async function run({ url, connections, keys, seconds }: HttpLoad): Promise<void> {
  const slice = await load({ callers: connections, seconds }, async (caller) => {
    const key = ownKey(caller, connections, { keys, random });
    const version = (versions[key] ??= 1);
    await put(`${url}/v1/states/${idOf(key)}`, version);
    versions[key] = version + 1;
  });
  process.send!(slice);
}

/** `node:http` as it is: `fetch` would cost the two cores twice as much. */
function put(url: string, version: number): Promise<void> {
  const body = bodies[random(bodies.length)]!;
  return new Promise((resolve, reject) => {
    const call = request(url, {
      agent,
      method: "PUT",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "if-match": `"${version}"`,
      },
    });
    call.on("error", reject);
    call.on("response", (answer) => {
      const isDone = answer.statusCode === 200 && answer.headers.etag === `"${version + 1}"`;
      answer.resume();
      answer.on("end", () =>
        isDone ? resolve() : reject(new Error(`${answer.statusCode} ${url}`)),
      );
    });
    call.end(body);
  });
}
