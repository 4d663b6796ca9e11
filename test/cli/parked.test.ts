import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serverAddress } from "../../src/embedded/servers.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import { useService } from "./service.ts";

const service = useService();
let store: StateStore;

beforeAll(() => {
  const address = serverAddress(join(service.folder, "data", "run"), "main");
  const way = { address, connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 };
  store = openStateStore({ ...way, lanes: 1, readers: 1, dataBytes: 1_048_576, dataDepth: 64 });
});
afterAll(() => store.close());

/** Parks an update as the intake does, and says under which number. */
async function park(data: object, detail: string): Promise<string> {
  const messageId = randomUUID();
  const type = "dev.agentruntime.state.update.v1";
  const event = { specversion: "1.0", id: messageId, source: "/tests", type, data };
  const body = Buffer.from(JSON.stringify(event));
  const message = { topic: "updates", messageId, namespace: "default", group: "agent", body };
  await store.parked.park({ ...message, code: "INVALID_TYPE", detail });
  const { items } = await list();
  return items.find((item) => item.messageId === messageId)!.number;
}

interface Listed {
  readonly items: readonly { readonly number: string; readonly messageId: string }[];
  readonly next?: string;
}

async function list(...args: string[]): Promise<Listed> {
  return JSON.parse(await service.output(["parked", "list", "--json", ...args])) as Listed;
}

test("what is parked is listed page by page, shown with its body, applied again, and discarded", async () => {
  expect(await service.output(["parked"])).toBe("nothing is parked\n");
  const good = await park({ id: "late", type: "note", data: { n: 1 } }, "its scope was held");
  const bad = await park({ id: "never", type: "", data: 1 }, "a type has a \u001b[31mname");

  const table = await service.output(["parked", "list"]);
  expect(table).toContain("INVALID_TYPE");
  expect(table).not.toContain("\u001b"); // what came from outside does not steer a terminal
  const first = await list("--limit", "1");
  expect(first.items.map(({ number }) => number)).toEqual([good]);
  const second = await list("--limit", "1", "--after", first.next!);
  expect(second.items.map(({ number }) => number)).toEqual([bad]);
  expect(await service.output(["parked", "list", "--limit", "1"])).toContain("more: --after ");

  const shown = await service.output(["parked", "show", bad]);
  expect(shown).toContain("INVALID_TYPE: a type has a");
  expect(shown).toContain('"id":"never"');
  expect(JSON.parse(await service.output(["parked", "show", good, "--json"]))).toMatchObject({
    number: good,
    topic: "updates",
    encoding: "utf8",
    body: expect.stringContaining('"id":"late"'),
  });

  expect(await service.output(["parked", "redrive", good])).toBe("applied: late is at step 1\n");
  expect(JSON.parse(await service.output(["get", "late", "--json"]))).toMatchObject({
    version: "1",
    data: { n: 1 },
  });
  const refused = await service.run(["parked", "redrive", bad]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("type");
  expect((await list()).items.map(({ number }) => number)).toEqual([bad]);

  expect(await service.output(["parked", "discard", bad])).toBe(`discarded number ${bad}\n`);
  expect(await service.output(["parked", "list"])).toBe("nothing is parked\n");
});

test.each(["show", "redrive", "discard"])(
  "%s of what is not parked is told, and of what is no number refused",
  async (what) => {
    const missing = await service.run(["parked", what, "999"]);
    expect(missing.code).toBe(4);
    expect(missing.stderr).toContain("next: list what is parked: agent_runtime state parked list");
    for (const number of ["0", "x", "1.5"]) {
      const wrong = await service.run(["parked", what, number]);
      expect(wrong.code, number).toBe(2);
      expect(wrong.stderr).toContain("the number that `parked list` shows");
    }
  },
);

test("the help names every exit code", async () => {
  const { stdout } = await service.run(["--help"]);
  for (const code of [0, 1, 2, 3, 4, 5, 6]) expect(stdout).toMatch(new RegExp(`  ${code} \\w`));
});
