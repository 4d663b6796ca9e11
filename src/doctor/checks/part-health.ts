import { advice, fault } from "../check.ts";
import type { Check } from "../check.ts";

/** What a service says of one of its parts. */
export interface PartFacts {
  readonly health: string;
  readonly reason: string | null;
}

/** Words for a part that is well, or that nobody asked for. */
const WELL: ReadonlySet<string> = new Set(["ok", "off", "none"]);

/** Words for a part that will be, by itself. */
const SOON: ReadonlySet<string> = new Set(["behind", "starting", "copying"]);

const REMEDY =
  "see the service's log of the last minutes; with the service's configuration the doctor looks at the part itself";

/** Whether a part is well, as the service itself sees it. */
export const partHealth: Check<PartFacts> = {
  name: "as the service sees it",
  look: ({ health, reason }) => {
    if (WELL.has(health)) return null;
    const found = reason === null ? health : `${health}: ${reason}`;
    return SOON.has(health) ? advice(found, "look again in a minute") : fault(found, REMEDY);
  },
};
