import { advice } from "../check.ts";
import type { Check } from "../check.ts";

/** What a service says of the changes that the message bus would not take, since it started. */
export interface RefusedFacts {
  /** Went out without their document. */
  readonly reduced: number;
  /** Did not go out at all. */
  readonly parked: number;
}

const REMEDY =
  "see why in `agent_runtime state parked` and in the service's log; where they are too large, raise maxMessageSize of broker and proxy above rocketmq.maxInlineBytes, or lower that";

/** Whether the message bus took all changes as they are. */
export const refusedChanges: Check<RefusedFacts> = {
  name: "changes are taken",
  look: ({ reduced, parked }) => {
    if (reduced + parked === 0) return null;
    const found = `since this service started the message bus refused ${reduced + parked} changes for good: ${reduced} went out without their document, ${parked} were parked`;
    return advice(found, REMEDY);
  },
};
