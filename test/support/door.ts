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

/**
 * A GET of a name is answered with the server of that name, which lives until the run ends, or its DELETE.
 *
 * @param open starts a server.
 */
export async function openDoor(open: () => Promise<Opened>): Promise<Door> {
  const opening = new Map<string, Promise<Opened>>();
  async function answerTo(method: string, name: string): Promise<unknown> {
    const started = opening.get(name);
    if (method !== "DELETE") {
      const starting = started ?? open();
      opening.set(name, starting);
      return (await starting).answer;
    }
    opening.delete(name);
    await (await started)?.stop();
    return null;
  }
  const server = createServer(({ method, url }, response) => {
    answerTo(method!, url!).then(
      (answer) => response.end(JSON.stringify(answer)),
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
      await Promise.all(started.map(async (each) => (each as { value?: Opened }).value?.stop()));
    },
  };
}
