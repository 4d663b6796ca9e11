import { Captor } from "../../src/captor/captor.ts";
import type { CaptorOptions } from "../../src/captor/captor.ts";
import { Containerd } from "../../src/containerd/containerd.ts";
import type { OwnContainerd } from "../../dev/services/containerd.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import { until } from "../support/until.ts";

export const NODE = "node-1";

/** A captor that tells a list. */
export interface Listening {
  readonly captor: Captor;
  readonly facts: LifecycleFact[];
  /** Resolves when it has told such a fact. */
  told(is: Partial<LifecycleFact>): Promise<LifecycleFact>;
  /** What it told of a pod: `main start`, `- create` of the sandbox. */
  of(podUid: string): string[];
  stop(): Promise<void>;
}

export function listen(
  { socket }: Pick<OwnContainerd, "socket">,
  options: Partial<CaptorOptions> = {},
): Listening {
  const facts: LifecycleFact[] = [];
  const containerd = new Containerd({ socket, namespace: "k8s.io", clock: systemClock });
  const captor = new Captor({
    containerd,
    sink: {
      publish: (told) => {
        facts.push(...told);
        return Promise.resolve();
      },
    },
    node: NODE,
    isOurs: (runtime) => runtime.startsWith("io.containerd.kata"),
    relistMs: 60_000,
    clock: systemClock,
    log: silentLog,
    ...options,
  });
  captor.start();
  const find = (is: Partial<LifecycleFact>): LifecycleFact | undefined =>
    facts.find((fact) =>
      Object.entries(is).every(([field, value]) => fact[field as keyof LifecycleFact] === value),
    );
  return {
    captor,
    facts,
    told: async (is) => {
      await until(() => find(is) !== undefined, { what: `a fact like ${JSON.stringify(is)}` });
      return find(is)!;
    },
    of: (podUid) =>
      facts
        .filter((fact) => fact.podUid === podUid)
        .map(({ container, fact, exitCode }) =>
          [container ?? "-", fact, ...(exitCode === undefined ? [] : [exitCode])].join(" "),
        ),
    stop: async () => {
      await captor.stop();
      containerd.close();
    },
  };
}
