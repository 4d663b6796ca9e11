import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

const MAX_SKEW_MS = 5_000;

/** Whether this machine and the database have the same time. */
export const clock: Check<DatabaseFacts> = {
  name: "clock",
  look: ({ skewMs, roundTripMs }) => {
    const surely = Math.abs(skewMs) - roundTripMs;
    if (surely < MAX_SKEW_MS) return null;
    const seconds = Math.round(Math.abs(skewMs) / 1_000);
    return fault(
      `its clock is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} this machine's`,
      "let both follow a time server (NTP): times that callers give, as of tasks to come, are compared with the database's",
    );
  },
};
