import { expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { Run } from "../../src/processor/run.ts";
import type { Task } from "../../src/state/task.ts";
import { scratchDataDir } from "../fault/place.ts";
import { startService } from "../support/child.ts";

const LONG_MS = 180_000;

/** Longer than from the moment that it sleeps until the service is killed. */
const NAP_MS = 3_000;

test(
  "A is at step 4 of 8 when B comes; during B, C; the service is killed: C, B, and A goes on at step 5; who slept sleeps on, and no longer",
  { timeout: 2 * LONG_MS },
  async () => {
    const dataDir = await scratchDataDir();
    const args = ["--data-dir", dataDir];
    const first = await startService(args, { timeoutMs: LONG_MS });
    const client = HttpStateClient.open({ url: first.url, timeoutMs: 5_000 });
    const steps: string[] = [];
    const ends: string[] = [];
    let crash!: () => void;
    const toCrash = new Promise<void>((resolve) => (crash = resolve));

    const phaseOf = (id: string): Promise<string> =>
      client.tasks.get(id).then(
        ({ phase }) => phase,
        () => "",
      );

    async function follow(task: Task, run: Run): Promise<string> {
      const name = task.id;
      for (let step = Number(task.resumePoint ?? 0) + 1; step <= 8; step++) {
        steps.push(`${name}${step}`);
        if (name === "A" && step === 4) await client.tasks.push("agent", { id: "B" });
        if (name === "B" && step === 1 && !ends.includes("C")) {
          await client.tasks.push("agent", { id: "C" });
          await client.tasks.push("sleeper", { id: "S" });
          await expect.poll(() => phaseOf("S"), { timeout: LONG_MS }).toBe("waiting");
          await first.child.kill();
          crash();
        }
        await run.checkpoint(step);
      }
      ends.push(name);
      return name;
    }

    const naps: number[] = [];
    async function nap(_task: Task, run: Run): Promise<string> {
      naps.push(Date.now());
      await run.sleep("nap", NAP_MS);
      return "rested";
    }

    client.startLifoTaskProcessor(nap, { stacks: ["sleeper"], waitMs: 2_000 });
    await client.tasks.push("agent", { id: "A" });
    client.startLifoTaskProcessor(follow, { stacks: ["agent"], waitMs: 2_000 });
    await toCrash;
    const listen = ["--listen", first.url.replace("http://", "")];
    const second = await startService([...args, ...listen], { timeoutMs: LONG_MS });
    expect(second.url).toBe(first.url);
    await expect.poll(() => phaseOf("A"), { timeout: LONG_MS }).toBe("completed");
    await expect.poll(() => phaseOf("S"), { timeout: LONG_MS }).toBe("completed");
    const sleeper = await client.tasks.get("S");
    await client.close();
    await second.child.kill("SIGTERM");

    expect(sleeper).toMatchObject({ result: "rested", attempt: 1 });
    const { until } = sleeper.effects[0]!.receipt as { readonly until: number };
    // Waking is by the database's clock, which counts from when it was told, and rounds up.
    expect(naps).toHaveLength(2);
    expect(naps[1]).toBeGreaterThanOrEqual(until);
    expect(ends).toEqual(["C", "B", "A"]);
    const stepsOf = (name: string): string[] => steps.filter((step) => step.startsWith(name));
    expect(stepsOf("A").slice(0, 5)).toEqual(["A1", "A2", "A3", "A4", "A5"]);
    expect(stepsOf("A")).toHaveLength(8);
    expect(steps.indexOf("C1")).toBeGreaterThan(steps.indexOf("B1"));
    expect(steps.indexOf("A5")).toBeGreaterThan(steps.indexOf("B8"));
  },
);
