import type { FastifyInstance } from "fastify";
import { Server } from "node:net";
import type { Socket } from "node:net";

/** How often a closing server looks whether idle connections may go. */
const SWEEP_MS = 20;

/** A request that was on its way has come after so long without any. */
const QUIET_MS = 250;

/**
 * After so many looks in a row without one as well: time alone passes for a process that stands still, too. Clients that
 * write on may be held up for longer.
 */
const QUIET_LOOKS = 2;
const QUIET_LOOKS_UNDER_LOAD = 50;

/**
 * Lets a closing server go once its requests are answered, those on their way as well, or after `closeMs` in any case.
 *
 * A client may just have sent a request on a connection that looks idle here: so the listener goes first, every
 * answer from then on says `Connection: close`, and what is idle is closed when no more requests come.
 *
 * @returns a hook for after those that end long answers: it waits until no connection is left.
 */
export function drainConnections(app: FastifyInstance, closeMs: number): () => Promise<void> {
  const { server } = app;
  const traffic = watchTraffic(app);
  let drained = Promise.resolve();

  app.addHook("preClose", (done) => {
    if (server.listening) drained = drain();
    done();
  });
  return () => drained;

  async function drain(): Promise<void> {
    const closed = new Promise((resolve) => server.once("close", resolve));
    // Not its own `close`, which cuts off what looks idle.
    Server.prototype.close.call(server);
    // An immediate comes after the sockets were read: nothing that has arrived is taken for silence.
    const sweep = setInterval(() => setImmediate(traffic.closeIdle), SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), closeMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

function watchTraffic({ server }: FastifyInstance): { readonly closeIdle: () => void } {
  // Node counts a connection that never asked anything as busy: clients open some in advance.
  const unused = new Set<Socket>();
  let lastMs = -QUIET_MS;
  let looks = 0;
  let wantedLooks = QUIET_LOOKS;
  const note = (): void => {
    lastMs = performance.now();
    looks = 0;
  };
  server.on("connection", (socket: Socket) => {
    note();
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    note();
    if (!server.listening) wantedLooks = QUIET_LOOKS_UNDER_LOAD;
    unused.delete(socket);
    response.once("finish", note);
  });
  const closeIdle = (): void => {
    looks += 1;
    if (looks < wantedLooks || performance.now() - lastMs < QUIET_MS) return;
    server.closeIdleConnections();
    for (const socket of unused) socket.destroy();
  };
  return { closeIdle };
}
