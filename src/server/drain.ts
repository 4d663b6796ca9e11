import type { FastifyInstance } from "fastify";

/** How often a closing server looks for connections whose last answer is out. */
const SWEEP_MS = 20;

/**
 * Lets a closing server go once its requests are answered, or after `closeMs` in any case.
 *
 * A kept-alive connection would hold it open until the client gives up.
 */
export function drainConnections(app: FastifyInstance, closeMs: number): void {
  app.addHook("preClose", (done) => {
    const { server } = app;
    if (!server.listening) return done();
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), closeMs);
    server.once("close", () => {
      clearInterval(sweep);
      clearTimeout(cut);
    });
    done();
  });
}
