import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

const SETTINGS = ["fsync", "full_page_writes", "synchronous_commit"] as const;

/** Whether what was acknowledged is on disk. A replica writes nothing of its own. */
export const durability: Check<DatabaseFacts> = {
  name: "durability",
  look: ({ settings, isReplica }) => {
    const off = SETTINGS.filter((name) => settings[name] === "off");
    if (off.length === 0 || isReplica) return null;
    return fault(
      `${off.join(" and ")} ${off.length === 1 ? "is" : "are"} off: acknowledged writes can be lost when the machine fails`,
      `set ${off.map((name) => `${name} = on`).join(", ")} on the server, for this database and for this login`,
    );
  },
};
