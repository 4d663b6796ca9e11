import { parseArgs } from "node:util";
import { SERVERS } from "./services.ts";
import type { ServerName } from "./services.ts";

/** What the command was asked for. */
export interface Wanted {
  readonly folder?: string;
  readonly only?: readonly ServerName[];
  readonly rocketmq: boolean;
  readonly redis: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

/** What `--help` prints. */
export const HELP = `npm run services -- [--only NAME,...] [--rocketmq] [--redis] [--folder DIR] [--json]

Starts the three databases of the full architecture on free ports of this machine, prints how to reach
them, and runs until Ctrl-C.

  postgres   main: durable, with checksums
  pgbouncer  main through a transaction pooler
  replica    readonly: follows postgres by streaming
  rollback   rollback: a cluster of its own

  --only     only these; what stands on postgres brings it
  --rocketmq also a RocketMQ: name server, broker and proxy; Maven fetches it once (100 MB)
  --redis    also a Redis, in the place of a DragonflyDB
  --folder   keeps the data there, for the next start; unsaid, it goes at the end
  --json     prints one line of JSON instead of the table
`;

/** Reads the arguments; throws, saying what is wrong, where they make no sense. */
export function readArguments(args: readonly string[]): Wanted {
  const { values } = parseArgs({
    args: [...args],
    options: {
      folder: { type: "string" },
      only: { type: "string" },
      redis: { type: "boolean", default: false },
      rocketmq: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { folder, only, rocketmq, redis, json, help } = values;
  if (folder === "") throw new Error("--folder needs the name of a folder");
  return {
    rocketmq,
    redis,
    json,
    help,
    ...(folder === undefined ? {} : { folder }),
    ...(only === undefined ? {} : { only: only.split(",").map(serverNamed) }),
  };
}

function serverNamed(name: string): ServerName {
  const found = SERVERS.find((server) => server === name);
  if (found !== undefined) return found;
  throw new Error(`no server "${name}"; there are ${SERVERS.join(", ")}`);
}
