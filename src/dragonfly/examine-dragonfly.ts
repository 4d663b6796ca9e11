import { randomUUID } from "node:crypto";
import { withDeadline } from "../service/deadline.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { newClient } from "./dragonfly-cache.ts";
import type { DragonflyOptions } from "./dragonfly-cache.ts";
import { guardedWrite } from "./guarded-write.ts";

const PROBE_MS = "1000";

/** What was seen of a shared cache. */
export interface DragonflyFacts {
  /** What was refused of the commands that the cache needs, with the server's words. */
  readonly refused: readonly string[];
}

/**
 * Tries the commands that the cache needs, on a key of its own that goes by itself.
 *
 * @throws {AgentRuntimeError} UNAVAILABLE: it cannot be reached, or does not let this user in.
 */
export async function examineDragonfly(
  options: Pick<DragonflyOptions, "url" | "tlsAuthority" | "prefix" | "connectTimeoutMs">,
): Promise<DragonflyFacts> {
  const client = newClient(options);
  client.on("error", () => undefined);
  const key = `${options.prefix}doctor:${randomUUID()}`;
  const send = (command: readonly string[]): Promise<unknown> => client.sendCommand([...command]);
  const what = { what: "The cache", timeoutMs: options.connectTimeoutMs };
  try {
    await withDeadline(what, () => client.connect()).catch((error: unknown) => {
      throw new AgentRuntimeError("UNAVAILABLE", reasonOf(error), { cause: error });
    });
    const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["PING", () => send(["PING"])],
      ["EVAL", () => guardedWrite(send, key, ["1", "1", "", PROBE_MS])],
      ["GET", () => send(["GET", key])],
      ["MGET", () => send(["MGET", key])],
    ];
    const refused: string[] = [];
    for (const [command, attempt] of tries) {
      await withDeadline(what, attempt).catch((error: unknown) => {
        refused.push(`${command}: ${reasonOf(error)}`);
      });
    }
    return { refused };
  } finally {
    client.destroy();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}
