import { AgentRuntimeError } from "../state/errors.ts";
import type {
  ParkedDetails,
  ParkedFace,
  ParkedListOptions,
  ParkedOptions,
} from "../state/parked-face.ts";
import type { ParkedMessage } from "../state/parked-port.ts";
import type { Committed, Page } from "../state/state.ts";
import { decode, pageOf, toCommitted, toDate } from "./decode.ts";
import type { Wire } from "./decode.ts";
import { queryOf } from "./encode.ts";
import type { Call } from "./transport.ts";

type Send = (options: ParkedOptions, call: Call) => Promise<unknown>;

/** The parked messages of a running service. */
export class HttpParked implements ParkedFace {
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  async list({ limit, after, ...options }: ParkedListOptions = {}): Promise<Page<ParkedMessage>> {
    const path = `/v1/parked${queryOf({ limit, after })}`;
    const answer = await this.#send(options, { method: "GET", path });
    return decode(answer, pageOf(toParked));
  }

  async get(number: bigint, options: ParkedOptions = {}): Promise<ParkedDetails> {
    const answer = await this.#send(options, { method: "GET", path: pathOf(number) });
    return decode(answer, (wire: Wire<ParkedDetails>) => ({ ...wire, ...toParked(wire) }));
  }

  async redrive(number: bigint, options: ParkedOptions = {}): Promise<Committed> {
    const path = `${pathOf(number)}/redrive`;
    return decode(await this.#send(options, { method: "POST", path }), toCommitted);
  }

  async discard(number: bigint, options: ParkedOptions = {}): Promise<void> {
    await this.#send(options, { method: "DELETE", path: pathOf(number) });
  }
}

function pathOf(number: bigint): string {
  if (number > 0n) return `/v1/parked/${number}`;
  throw new AgentRuntimeError("INVALID_REQUEST", "parked messages are numbered from 1 up");
}

function toParked(wire: Wire<ParkedMessage>): ParkedMessage {
  return {
    ...wire,
    number: BigInt(wire.number),
    parkedAt: toDate(wire.parkedAt),
    triedAt: toDate(wire.triedAt),
  };
}
