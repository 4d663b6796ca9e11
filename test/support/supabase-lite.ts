import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import { KEYS } from "./supabase.ts";
import type { Supabase } from "./supabase.ts";

/** Somebody else's Data API, over a database of ours. */
export interface Lite {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * `@supabase/lite` on a project's database: it knows nothing of our double, so that the two do not err alike.
 *
 * It differs from a real one in known ways: it encodes JSON arguments twice, and logs in as the owner of all.
 */
export async function openLite({ database }: Supabase): Promise<Lite> {
  const { searchParams } = new URL(database.adminUrl.replace("@/", "@localhost/"));
  const socket = `${searchParams.get("host")}/.s.PGSQL.${searchParams.get("port")}`;
  const connection = createPostgresConnection({
    url: `postgres://postgres@localhost/${database.name}`,
    postgresOptions: { path: socket },
  });
  const app = new App({
    connection,
    auth: { enabled: false, secret_key: KEYS.secret, publishable_key: KEYS.publishable },
    api: { schemas: ["public", "agent_state_api"] },
  });
  const server = createServer((request, response) => void hand(app, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await warmUp(url);
  return {
    url,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await connection.close();
    },
  };
}

/**
 * At the first call of a function it changes privileges, and does not do well with a second one beside it
 * ("tuple concurrently updated").
 */
async function warmUp(url: string): Promise<void> {
  const answer = await fetch(`${url}/rest/v1/rpc/feed_bounds`, {
    method: "POST",
    headers: {
      apikey: KEYS.secret,
      authorization: `Bearer ${KEYS.secret}`,
      "content-profile": "agent_state_api",
      "content-type": "application/json",
    },
    body: "{}",
  });
  if (!answer.ok) throw new Error(`the Data API does not serve: ${await answer.text()}`);
}

async function hand(app: App, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const { method = "GET", url = "", headers } = request;
  const answer = await app.fetch(
    new Request(`http://${headers.host}${url}`, {
      method,
      headers: headers as Record<string, string>,
      ...(method === "POST" ? { body: Buffer.concat(chunks) } : {}),
    }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(Buffer.from(await answer.arrayBuffer()));
}
