import { randomUUID } from "node:crypto";
import { withDeadline } from "../service/deadline.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { newClient } from "./dragonfly-cache.ts";
import type { DragonflyOptions } from "./dragonfly-cache.ts";
import { isUnknownScript, writeCommands } from "./guarded-write.ts";

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
    // A write says EVAL only where the server does not have the script: by that way alone, a server that has it would
    // hide that EVAL is refused until it starts again.
    const { short, whole } = writeCommands(key, ["1", "1", "", PROBE_MS]);
    const tries = [["PING"], whole, short, ["GET", key], ["MGET", key]];
    const refused: string[] = [];
    for (const command of tries) {
      await withDeadline(what, () => send(command)).catch((error: unknown) => {
        if (!isUnknownScript(error)) refused.push(`${command[0]}: ${reasonOf(error)}`);
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
