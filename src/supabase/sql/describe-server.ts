import type { Caller, Operation } from "../caller.ts";
import { text } from "../rows.ts";

const DESCRIBE_SERVER = {
  fn: "describe_server",
  parameters: {},
  columns: ["version"],
  writes: false,
} as const satisfies Operation;

/** The version of the PostgreSQL that answers. */
export async function describeServer(reader: Caller): Promise<string> {
  const [row] = await reader.call(DESCRIBE_SERVER, {});
  return text(row!, 0);
}
