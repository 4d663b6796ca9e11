import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Where tests ask for servers of this run, each of which is started for the first test that does. */
export interface Door {
  readonly url: string;
  close(): Promise<void>;
}

/** What was started: what a test has to know of it, as JSON, and its end. */
export interface Opened {
  readonly answer: unknown;
  stop(): Promise<void>;
}

/** @param open starts the server of the name that a test asks for, which is the path of its request. */
export async function openDoor(open: (name: string) => Promise<Opened>): Promise<Door> {
  const opening = new Map<string, Promise<Opened>>();
  const server = createServer((request, response) => {
    const name = request.url!.slice(1);
    const started = opening.get(name) ?? open(name);
    opening.set(name, started);
    started.then(
      ({ answer }) => response.end(JSON.stringify(answer)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.close();
      const started = await Promise.allSettled(opening.values());
      await Promise.all(
        started.map((each) => (each.status === "fulfilled" ? each.value.stop() : undefined)),
      );
    },
  };
}
