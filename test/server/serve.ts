import type { FastifyInstance } from "fastify";
import { silentLog } from "../../src/service/log.ts";
import type { StateFace } from "../../src/state/face.ts";
import { HttpService } from "../../src/server/listen.ts";
import type { ServerOptions } from "../../src/server/options.ts";
import { createServer } from "../../src/server/server.ts";

/** A server that listens on a free port of this machine. */
export interface Served {
  readonly app: FastifyInstance;
  readonly url: string;
  close(): Promise<void>;
}

/** What a server needs beside its face, all of it well. */
export function partsThatAreWell(face: StateFace): ServerOptions {
  return {
    face,
    info: () => ({ version: "0", node: process.version, uptime: 1, parts: {} }),
    ready: () => ({ ready: true }),
    renderMetrics: async () => "up 1\n",
    log: silentLog,
  };
}

/** A server over a face, with parts that are well where the test does not say otherwise. */
export function serverOver(face: StateFace, options: Partial<ServerOptions> = {}): FastifyInstance {
  return createServer({ ...partsThatAreWell(face), ...options });
}

/** The same, listening. */
export async function serve(
  face: StateFace,
  options: Partial<ServerOptions> = {},
): Promise<Served> {
  const app = serverOver(face, options);
  const service = new HttpService(app, { host: "127.0.0.1", port: 0 });
  await service.start();
  return { app, url: service.url, close: () => service.stop() };
}

/** What tests look at in an answer; any answer has some of it. */
export interface Answer {
  readonly [field: string]: unknown;
  readonly code: string;
  readonly field: string;
  readonly detail: string;
  readonly data: unknown;
  readonly id: string;
  readonly scope: string;
  readonly step: string;
  readonly version: string;
  readonly digest: string;
  readonly next: string;
  readonly patch: unknown;
  readonly current: Answer;
  readonly items: readonly Answer[];
}
