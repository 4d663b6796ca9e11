import { hostname } from "node:os";
import { Beliefs } from "../captor/beliefs.ts";
import { Captor } from "../captor/captor.ts";
import { captorStatus } from "../captor/status.ts";
import { StatusServer } from "../service/status-server.ts";
import type { SinkFigures } from "../captor/status.ts";
import type { Config } from "../config/options.ts";
import { Containerd } from "../containerd/containerd.ts";
import { systemClock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import type { StateFace } from "../state/face.ts";
import type { FactSink } from "../state/fact-sink.ts";

export interface CaptorParts {
  readonly sink: Pick<FactSink, "publish">;
  /** Who is asked what is alive on this node; null: nobody. */
  readonly states: Pick<StateFace, "list" | "getState"> | null;
  readonly log: Logger;
}

/** A captor of a node, as the configuration has it; it does nothing yet. */
export function openCaptor(
  { captor: settings }: Config,
  { sink, states, log }: CaptorParts,
): {
  readonly captor: Captor;
  /** Serves how it stands. */
  readonly statusServer: (sink: { readonly figures: SinkFigures }) => StatusServer;
  readonly close: () => Promise<void>;
} {
  const { containerd: socket, relistMs, listen } = settings;
  const node = settings.node || hostname();
  const runtimes = new RegExp(settings.runtimes, "u");
  const containerd = new Containerd({ socket, namespace: "k8s.io", clock: systemClock });
  const captor = new Captor({
    containerd,
    sink,
    ...(states === null ? {} : { beliefs: new Beliefs(states, node) }),
    node,
    isOurs: (runtime) => runtimes.test(runtime),
    relistMs,
    clock: systemClock,
    log,
  });
  const { figures } = captor;
  return {
    captor,
    statusServer: (told) =>
      new StatusServer({ ...captorStatus({ figures, sink: told }), ...listen }),
    close: async () => {
      await captor.stop();
      containerd.close();
    },
  };
}
