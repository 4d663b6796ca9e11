import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "../../dev/services/redis.ts";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import { signalTo } from "../fault/private-postgres.ts";
import type { Child } from "../support/child.ts";

/** What may be killed and started again, or stand still for a while. */
export interface Mortal {
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** A process of ours; nothing else than its kill ends it. */
export class MortalProcess implements Mortal {
  readonly #begin: () => Promise<Child>;
  #child: Child;
  /** Processes that it had before, each of which was killed. */
  readonly former: Child[] = [];

  private constructor(begin: () => Promise<Child>, child: Child) {
    this.#begin = begin;
    this.#child = child;
  }

  static async start(begin: () => Promise<Child>): Promise<MortalProcess> {
    return new MortalProcess(begin, await begin());
  }

  get child(): Child {
    return this.#child;
  }

  async kill(): Promise<void> {
    const { code, signal } = await this.#child.kill();
    if (signal === "SIGKILL") this.former.push(this.#child);
    else throw new Error(`it ended by itself (${code ?? signal}):\n${this.#child.stderr}`);
  }

  async start(): Promise<void> {
    this.#child = await this.#begin();
  }

  freeze(): void {
    signalTo(this.#child.pid, "SIGSTOP");
  }

  thaw(): void {
    signalTo(this.#child.pid, "SIGCONT");
  }
}

/** A member of a RocketMQ. */
export function mortalMember(rocketmq: Rocketmq, name: "broker" | "proxy"): Mortal {
  return {
    kill: () => rocketmq.kill(name),
    start: () => rocketmq.start(name),
    freeze: () => rocketmq.freeze(name),
    thaw: () => rocketmq.thaw(name),
  };
}

export function mortalRedis(redis: Redis): Mortal {
  return {
    kill: () => redis.kill(),
    start: () => redis.start(),
    freeze: () => redis.freeze(),
    thaw: () => redis.thaw(),
  };
}

/** What happens, to whom, and for how long: until it is started again, or goes on. */
export interface Fault {
  readonly name: string;
  readonly how: "killed" | "frozen";
  readonly forMs: number;
}

export async function suffer(mortal: Mortal, { how, forMs }: Fault): Promise<void> {
  if (how === "killed") {
    await mortal.kill();
    await sleep(forMs);
    await mortal.start();
  } else {
    mortal.freeze();
    await sleep(forMs);
    mortal.thaw();
  }
}
