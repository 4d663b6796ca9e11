import { expect, test } from "vitest";
import { proofLength } from "../../support/length.ts";
import { uniqueId } from "./case.ts";
import type { Face } from "./case.ts";

/** Enough that they meet in one batch and in several. */
const WRITERS = proofLength({ short: 60, full: 200 });

/** Many writers at once: one winner a version, and nothing lost. */
export function raceContract(face: Face): void {
  test("of many writers that expect one version, one wins and the others are told", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", "start");
    for (let round = 1n; round <= 3n; round++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: WRITERS }, (_, n) =>
          face().updateState(id, "shared", `${round}-${n}`, { expectedVersion: round }),
        ),
      );
      const won = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      expect(won).toMatchObject([{ version: round + 1n }]);
      const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
      const { data } = await face().getState(id);
      expect(data).toBe(`${round}-${winner}`);
      for (const one of outcomes) {
        if (one.status === "fulfilled") continue;
        expect(one.reason).toMatchObject({
          code: "VERSION_CONFLICT",
          facts: { current: { version: String(round + 1n), data } },
        });
      }
    }
    expect((await face().history(id)).items).toHaveLength(4);
  });

  test("of many creators, one creates", async () => {
    const id = uniqueId();
    const outcomes = await Promise.allSettled(
      Array.from({ length: WRITERS }, (_, n) =>
        face().updateState(id, "shared", n, { expectedVersion: 0n }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await face().getState(id)).version).toBe(1n);
  });

  test("of many steps after one, one is committed", async () => {
    const scope = uniqueId("scope");
    const outcomes = await Promise.allSettled(
      Array.from({ length: WRITERS }, (_, n) =>
        face().updateState(`${scope}-${n}`, "shared", n, { scope, expectedStep: 0n }),
      ),
    );
    const lost = outcomes.flatMap((one) =>
      one.status === "rejected" ? [one.reason as unknown] : [],
    );
    expect(lost).toHaveLength(WRITERS - 1);
    for (const error of lost) expect(error).toMatchObject({ code: "STEP_CONFLICT" });
    expect((await face().scopeStates(scope)).items).toHaveLength(1);
  });

  test("many writers without a condition all write, and history has them all", async () => {
    const id = uniqueId();
    const written = await Promise.all(
      Array.from({ length: WRITERS }, (_, n) => face().updateState(id, "shared", n)),
    );
    const versions = written.map(({ version }) => Number(version)).toSorted((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: WRITERS }, (_, n) => n + 1));
    expect(written.filter(({ created }) => created)).toHaveLength(1);
    const { items } = await face().history(id, { limit: 1_000 });
    expect(items.map(({ version }) => Number(version))).toEqual(versions.toReversed());
    const last = written.find(({ version }) => version === BigInt(WRITERS))!;
    expect((await face().getState(id)).data).toBe(written.indexOf(last));
  });

  test("many appends at once lose no item", async () => {
    const id = uniqueId();
    await face().updateState(id, "shared", { items: [] });
    await Promise.all(
      Array.from({ length: WRITERS }, (_, n) => face().appendState(id, "/items", [n])),
    );
    const { items } = (await face().getState(id)).data as { items: number[] };
    expect(items.toSorted((a, b) => a - b)).toEqual(Array.from({ length: WRITERS }, (_, n) => n));
  });
}
