/** How bad it is: what works and could be better, or what does not work or endangers data. */
export type Level = "advice" | "fault";

/** What is wrong, and what to do about it. */
export interface Trouble {
  readonly level: Level;
  readonly found: string;
  readonly remedy: string;
}

/** One thing that is looked at, in the facts about one part; null where it is well. */
export interface Check<Facts> {
  readonly name: string;
  look(facts: Facts): Trouble | null;
}

/** What a check said of a part. */
export interface Verdict {
  /** `main`, `rocketmq`, ... */
  readonly part: string;
  readonly check: string;
  readonly level: "ok" | Level;
  readonly found: string;
  readonly remedy: string;
}

/** Lets each check look at the facts about one part. */
export function examine<Facts>(
  part: string,
  facts: Facts,
  checks: readonly Check<Facts>[],
): Verdict[] {
  return checks.map((check) => verdictOf(part, check.name, check.look(facts)));
}

/** What one look at a part came to. */
export function verdictOf(part: string, check: string, trouble: Trouble | null): Verdict {
  return { part, check, ...(trouble ?? { level: "ok", found: "", remedy: "" }) };
}

/** Something that does not work, or endangers data. */
export function fault(found: string, remedy: string): Trouble {
  return { level: "fault", found, remedy };
}

/** Something that works and could be better. */
export function advice(found: string, remedy: string): Trouble {
  return { level: "advice", found, remedy };
}
