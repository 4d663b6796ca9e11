import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { PostgrestCache } from "./postgrest-cache.ts";
import type { Routine } from "./postgrest-cache.ts";
import { answerTo, Refusal, sqlStateOf } from "./postgrest-errors.ts";
import type { Answer } from "./postgrest-errors.ts";

export interface DoubleOptions {
  /** How it logs in: as `authenticator`. */
  readonly connectionString: string;
  /** The role of each key; one with dots is a JWT. */
  readonly keys: Readonly<Record<string, string>>;
  /** The first is what a request without a profile means. */
  readonly schemas: readonly string[];
  /** Rows of a set that are answered at most; default 1,000, as on a Supabase. */
  readonly maxRows?: number;
  /** Bytes of a body that the gateway takes; default 2 MiB. */
  readonly bodyBytes?: number;
  /** Repeats what failed with 40001 by itself, as PostgREST up to version 14 does. */
  readonly retriesSerialization?: boolean;
}

/** What came in, for tests to look at. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly bodyBytes: number;
}

const MAX_URL = 8_000;
const TRIES = 10;

/**
 * A Supabase's Data API for tests, with the functions alone: strict where a real one may be.
 *
 * It logs in as one role and goes on as that of the key, each request in a transaction of its own: read-only for GET
 * and for what is not volatile. It cuts sets, knows new functions only after it was asked for one, and refuses updates
 * without WHERE.
 */
export class PostgrestDouble {
  readonly seen: SeenRequest[] = [];
  readonly #options: DoubleOptions;
  readonly #pool: pg.Pool;
  readonly #cache: PostgrestCache;
  readonly #server: Server;

  private constructor(options: DoubleOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({ connectionString: options.connectionString, max: 10 });
    this.#pool.on("error", () => undefined);
    this.#pool.on("connect", (client) => client.on("error", () => undefined));
    this.#cache = new PostgrestCache(this.#pool, options.schemas);
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
        response.end(request.method === "HEAD" ? "" : body);
      });
    });
  }

  static async open(options: DoubleOptions): Promise<PostgrestDouble> {
    const double = new PostgrestDouble(options);
    await double.#cache.reload();
    double.#server.listen(0, "127.0.0.1");
    await once(double.#server, "listening");
    return double;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The project's URL. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#pool.end();
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    let role = "anon";
    try {
      const body = await bodyOf(request);
      this.#note(request, body);
      role = this.#roleOf(request, body);
      return await this.#run(request, body, role);
    } catch (error) {
      return answerTo(error, role === "anon");
    }
  }

  #note({ method = "", url = "", headers }: IncomingMessage, body: string): void {
    this.seen.push({ method, path: url, headers, bodyBytes: Buffer.byteLength(body) });
  }

  /** The gateway: keys, and what it takes at all. */
  #roleOf({ url = "", headers }: IncomingMessage, body: string): string {
    const { keys, bodyBytes = 2 * 1024 * 1024 } = this.#options;
    if (url.length > MAX_URL) throw new Refusal(414, undefined, "URI Too Long");
    if (Buffer.byteLength(body) > bodyBytes) {
      throw new Refusal(413, undefined, "Payload Too Large");
    }
    const apikey = headers["apikey"];
    if (typeof apikey !== "string") {
      throw new Refusal(401, undefined, "No API key found in request");
    }
    const role = keys[apikey];
    if (role === undefined) throw new Refusal(401, undefined, "Invalid API key");
    if (apikey.startsWith("sb_secret_") && /mozilla/i.test(headers["user-agent"] ?? "")) {
      throw new Refusal(401, undefined, "Forbidden use of secret API key in browser");
    }
    const bearer = headers.authorization?.replace(/^Bearer /, "");
    // A JWT counts where it is the bearer; in `apikey` alone it opens the gateway, and no more.
    if (bearer === undefined) return apikey.startsWith("sb_") ? role : "anon";
    if (bearer === apikey) return role;
    if (!bearer.includes(".")) throw new Refusal(401, undefined, "Invalid API key");
    const claimed = keys[bearer];
    if (claimed === undefined) throw new Refusal(401, "PGRST301", "JWSError JWSInvalidSignature");
    return claimed;
  }

  async #run(request: IncomingMessage, body: string, role: string): Promise<Answer> {
    const { method = "", headers } = request;
    const url = new URL(request.url ?? "", this.url);
    const name = /^\/rest\/v1\/rpc\/(\w+)$/.exec(url.pathname)?.[1];
    if (name === undefined)
      throw new Refusal(404, "PGRST125", "Invalid path specified in request URL");
    const isRead = method === "GET" || method === "HEAD";
    if (!isRead && method !== "POST") throw new Refusal(405, "PGRST101", "Only GET, HEAD, or POST");
    if (!isRead && !/^application\/json\b/.test(headers["content-type"] ?? "")) {
      throw new Refusal(415, "PGRST107", `Content-Type not acceptable: ${headers["content-type"]}`);
    }
    const schema = this.#schemaOf(headers[isRead ? "accept-profile" : "content-profile"]);
    const sent = isRead ? JSON.stringify(Object.fromEntries(url.searchParams)) : body;
    const routine = this.#cache.find({ schema, name, sent, isBody: !isRead });
    const statement = statementOf(routine, this.#options.maxRows ?? 1_000);
    const settings = settingsOf({ request, url, role, schema });
    for (let tries = 1; ; tries++) {
      try {
        const isReadOnly = isRead || !routine.isVolatile;
        return {
          status: 200,
          body: await this.#transaction({ isReadOnly, settings, statement, sent }),
        };
      } catch (error) {
        const isRetried =
          this.#options.retriesSerialization === true && sqlStateOf(error) === "40001";
        if (!isRetried || tries === TRIES) throw error;
      }
    }
  }

  #schemaOf(profile: string | string[] | undefined): string {
    const { schemas } = this.#options;
    const schema = typeof profile === "string" ? profile : schemas[0]!;
    if (schemas.includes(schema)) return schema;
    throw new Refusal(406, "PGRST106", `Invalid schema: ${schema}`);
  }

  async #transaction(call: {
    readonly isReadOnly: boolean;
    readonly settings: readonly (readonly [string, string])[];
    readonly statement: string;
    readonly sent: string;
  }): Promise<string> {
    const { isReadOnly, settings, statement, sent } = call;
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw new Refusal(503, "PGRST000", String(error));
    });
    let isBroken = false;
    try {
      await client.query(
        `begin isolation level read committed ${isReadOnly ? "read only" : "read write"}`,
      );
      const set = settings.map(
        (_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, true)`,
      );
      await client.query(`select ${set.join(", ")}`, settings.flat());
      const { rows } = await client.query<{ body: string }>(statement, [sent]);
      await client.query("commit");
      return rows[0]!.body;
    } catch (error) {
      await client.query("rollback").catch(() => (isBroken = true));
      throw error;
    } finally {
      client.release(isBroken);
    }
  }
}

/** One function, called as PostgREST calls it; its argument is $1: the body, or an object of what the URL says. */
function statementOf({ schema, name, parameters, isSet }: Routine, maxRows: number): string {
  const fn = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  const taken = parameters.map((each) => `${pg.escapeIdentifier(each.name)} ${each.type}`);
  const isWhole = parameters.length === 1 && parameters[0]!.name === "";
  const handed = parameters.map(
    ({ name }) => `${pg.escapeIdentifier(name)} := _.${pg.escapeIdentifier(name)}`,
  );
  const source =
    isWhole || taken.length === 0
      ? "(select $1::text) _"
      : `json_to_record($1::json) _(${taken.join(", ")})`;
  const call = isWhole ? `${fn}($1::${parameters[0]!.type})` : `${fn}(${handed.join(", ")})`;
  return isSet
    ? `select coalesce(json_agg(t), '[]')::text as body from (select r.* from ${source}, lateral ${call} r limit ${maxRows}) t`
    : `select coalesce(json_agg(t.answer) -> 0, 'null')::text as body from (select ${call} as answer from ${source}) t`;
}

function settingsOf(call: {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly role: string;
  readonly schema: string;
}): [string, string][] {
  const { request, url, role, schema } = call;
  return [
    ["search_path", `${pg.escapeIdentifier(schema)}, public`],
    ["role", role],
    ["request.jwt.claims", JSON.stringify({ role })],
    ["request.method", request.method ?? ""],
    ["request.path", url.pathname.replace("/rest/v1", "")],
    ["request.headers", JSON.stringify(request.headers)],
    ["request.cookies", "{}"],
  ];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
