import type { JsonObject } from "../../src/state/json.ts";

const WORDS =
  "plan search fetch parse rank write review merge retry wait agent model tool token budget memory vector status queue worker".split(
    " ",
  );

let seed = 12_345;

/** A whole number from 0 to `below - 1`; the same sequence in every run. */
export function random(below: number): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % below;
}

/** What an agent's task might hold: JSON text of `bytes` that compresses poorly. */
export function makeDocument(bytes: number): JsonObject {
  const steps: JsonObject[] = [];
  const document = {
    status: ["pending", "running", "done"][random(3)]!,
    attempt: random(5),
    progress: random(100) / 100,
    owner: `agent-${random(1_000)}`,
    startedAt: 1_700_000_000_000 + random(1e9),
    steps,
    note: "",
  };
  let length = JSON.stringify(document).length;
  while (length < bytes - 110) {
    const step = {
      name: `${WORDS[random(WORDS.length)]}${random(1e6)}`,
      tokens: random(9_000),
      cost: random(1e6) / 1e6,
      ok: random(2) === 1,
    };
    length += JSON.stringify(step).length + 1;
    steps.push(step);
  }
  const left = bytes - JSON.stringify(document).length;
  for (let count = 0; count < left; count++) {
    document.note += String.fromCharCode(97 + random(26));
  }
  return document;
}

/** Documents of 1 KB to choose from: making one for each update would be measured too. */
export function makeDocuments(count = 512, bytes = 1_024): JsonObject[] {
  return Array.from({ length: count }, () => makeDocument(bytes));
}
