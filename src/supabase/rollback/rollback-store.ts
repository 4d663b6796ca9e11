import type { RollbackStore } from "../../state/rollback-port.ts";
import { describeServer } from "../sql/describe-server.ts";
import { openTransport } from "../transport.ts";
import type { TransportOptions } from "../transport.ts";
import {
  beginFollowing,
  copiesToRebuild,
  fillCopies,
  follow,
  releaseLease,
  takeLease,
} from "./follow.ts";
import {
  discardCopy,
  readCopiedChange,
  readCopiedScope,
  readDigests,
  readStanding,
  readStandings,
  readStatus,
} from "./read-copies.ts";

/** A frozen one must not hold up whoever leaves: what is under way then is cut. */
const CUT_READS_AFTER_MS = 1_000;

/** The rollback database, whose schema `prepareSchema` has seen to. Connects when first used. */
export function openRollbackStore(
  options: Omit<TransportOptions, "lanes" | "readers">,
): RollbackStore {
  const transport = openTransport({
    ...options,
    lanes: 1,
    readers: 2,
    cutReadsAfterMs: CUT_READS_AFTER_MS,
  });
  const { reader } = transport;
  const writer = transport.lanes[0]!;
  let closing: Promise<void> | undefined;
  return {
    takeLease: (holder, ttlMs) => takeLease(writer, holder, ttlMs),
    releaseLease: (epoch) => releaseLease(writer, epoch),
    begin: (epoch, at) => beginFollowing(writer, epoch, at),
    follow: (epoch, page) => follow(writer, epoch, page),
    fill: (epoch, page, walk) => fillCopies(writer, epoch, { ...page, walk }),
    toRebuild: (limit) => copiesToRebuild(writer, limit),
    readCopy: (namespace, scope) => readCopiedScope(reader, namespace, scope),
    standing: (scope) => readStanding(reader, scope),
    standings: (after, limit) => readStandings(reader, after, limit),
    digests: (scope) => readDigests(reader, scope),
    change: (key) => readCopiedChange(reader, key),
    discard: (scope, reason) => discardCopy(reader, scope, reason),
    status: () => readStatus(reader),
    describe: async () => ({ server: "PostgreSQL", version: await describeServer(reader) }),
    close: () => (closing ??= transport.close()),
  };
}
