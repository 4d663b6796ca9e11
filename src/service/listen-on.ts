import type { AddressInfo, Server } from "node:net";
import { AgentRuntimeError } from "../state/errors.ts";

/**
 * Has a server listen; port 0 picks a free one.
 *
 * @returns `HOST:PORT`, as a URL has it.
 * @throws {AgentRuntimeError} UNAVAILABLE: the address is in use, or not one of this machine.
 */
export async function listenOn(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  }).catch((cause: unknown) => {
    const why = `cannot listen on ${host}:${port}: ${(cause as Error).message}`;
    throw new AgentRuntimeError("UNAVAILABLE", why, { cause });
  });
  const { address, port: bound } = server.address() as AddressInfo;
  return `${address.includes(":") ? `[${address}]` : address}:${bound}`;
}
