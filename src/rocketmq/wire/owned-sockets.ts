// oxlint-disable no-underscore-dangle -- gRPC's types have it, and its name begins with one
import type { Socket } from "node:net";
import type { ChannelCredentials } from "@grpc/grpc-js";

/**
 * The sockets that a gRPC client opens, so that they end when it does.
 *
 * A client that is closed says goodbye, and lets go of its socket when the other side has said so too: one that stands
 * still never does. And a socket that comes to be while the client closes is not closed by anybody. Both were seen, as
 * descriptors that stayed. The credentials are the one place in which the client hands its sockets out.
 */
export class OwnedSockets {
  readonly credentials: ChannelCredentials;
  readonly #sockets = new Set<Socket>();
  #hasEnded = false;

  /** @param credentials this client's alone. */
  constructor(credentials: ChannelCredentials) {
    const connectorOf = credentials._createSecureConnector.bind(credentials);
    credentials._createSecureConnector = (...place) => {
      const connector = connectorOf(...place);
      return {
        connect: (socket) => {
          this.#own(socket);
          return connector.connect(socket);
        },
        waitForReady: () => connector.waitForReady(),
        getCallCredentials: () => connector.getCallCredentials(),
        destroy: () => connector.destroy(),
      };
    };
    this.credentials = credentials;
  }

  /** Ends them all, now and those to come. Safe twice. */
  end(): void {
    this.#hasEnded = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    if (this.#hasEnded) socket.destroy();
  }
}
