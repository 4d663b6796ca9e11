import { AgentRuntimeError } from "../state/errors.ts";
import type { BatchOutcome } from "../state/face.ts";
import { checkNamespace } from "../state/identifiers.ts";
import type { Changeset } from "../state/request.ts";
import type { Committed } from "../state/state.ts";
import { decode, toOutcome } from "./decode.ts";
import type { Wire } from "./decode.ts";
import { changesetBody } from "./encode.ts";

type BatchAnswer = { readonly items: readonly (Wire<Committed> & { readonly status: number })[] };

/** One changeset as it is sent, and its place in the batch. */
interface Packed {
  readonly at: number;
  readonly body: string;
}

/**
 * Independent changesets, each with a fate of its own: what cannot be sent refuses itself alone, and a request that
 * fails is the answer of its changesets only.
 *
 * @param send sends one request, which speaks for one namespace.
 * @throws {AgentRuntimeError} the first request's, where all of them failed.
 */
export async function sendBatch(
  changesets: readonly Changeset[],
  send: (namespace: string | undefined, body: string) => Promise<unknown>,
): Promise<BatchOutcome[]> {
  const outcomes: BatchOutcome[] = Array.from({ length: changesets.length });
  const requests = packed(changesets, outcomes);
  const failures: AgentRuntimeError[] = [];
  await Promise.all(
    Array.from(requests, async ([namespace, items]) => {
      try {
        const body = `{"writes":[${items.map((item) => item.body).join()}]}`;
        const answer = await send(namespace, body);
        const read = decode(answer, (wire: BatchAnswer) => wire.items.map(toOutcome));
        for (const [index, { at }] of items.entries()) outcomes[at] = read[index]!;
      } catch (error) {
        if (!(error instanceof AgentRuntimeError)) throw error;
        failures.push(error);
        for (const { at } of items) outcomes[at] = { ok: false, error };
      }
    }),
  );
  if (failures.length > 0 && failures.length === requests.size) throw failures[0]!;
  return outcomes;
}

/** What is sent for each namespace; what cannot be sent has its outcome already. */
function packed(
  changesets: readonly Changeset[],
  outcomes: BatchOutcome[],
): Map<string | undefined, Packed[]> {
  const requests = new Map<string | undefined, Packed[]>();
  for (const [at, changeset] of changesets.entries()) {
    try {
      const { namespace } = changeset;
      if (namespace !== undefined) checkNamespace(namespace);
      const item = { at, body: changesetBody(changeset) };
      const request = requests.get(namespace);
      if (request === undefined) requests.set(namespace, [item]);
      else request.push(item);
    } catch (error) {
      if (!(error instanceof AgentRuntimeError)) throw error;
      outcomes[at] = { ok: false, error };
    }
  }
  return requests;
}
