import type { FastifyInstance } from "fastify";
import type { Socket } from "node:net";

/** How often a closing server looks for connections whose last answer is out. */
const SWEEP_MS = 20;

/**
 * Lets a closing server go once its requests are answered, or after `closeMs` in any case.
 *
 * A kept-alive connection would hold it open until the client gives up.
 */
export function drainConnections(app: FastifyInstance, closeMs: number): void {
  const { server } = app;
  // Node counts a connection that never asked anything as busy: clients open some in advance.
  const unused = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.on("request", ({ socket }) => void unused.delete(socket));

  app.addHook("preClose", (done) => {
    if (!server.listening) return done();
    const sweep = setInterval(() => {
      server.closeIdleConnections();
      for (const socket of unused) socket.destroy();
    }, SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), closeMs);
    server.once("close", () => {
      clearInterval(sweep);
      clearTimeout(cut);
    });
    done();
  });
}
