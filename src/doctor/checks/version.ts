import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

const OLDEST = 15;
const NEWEST = 18;

/** Whether this program knows the PostgreSQL. */
export const version: Check<DatabaseFacts> = {
  name: "version",
  look: ({ version: text, versionNumber }) => {
    const major = Math.floor(versionNumber / 10_000);
    if (major >= OLDEST && major <= NEWEST) return null;
    return fault(
      `it is PostgreSQL ${text}`,
      `use PostgreSQL ${OLDEST} to ${NEWEST}: others were never tested`,
    );
  },
};
