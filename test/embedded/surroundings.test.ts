import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { StateManager } from "../../src/index.ts";
import { ask, openHome, scratchFolder } from "./support.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("what the environment says of somebody else's database does not reach the embedded one", async () => {
  vi.stubEnv("PGSSLMODE", "require");
  vi.stubEnv("PGSSLNEGOTIATION", "direct");
  vi.stubEnv("PGOPTIONS", "-c statement_timeout=1 -c default_transaction_read_only=on");
  vi.stubEnv("PGPORT", "1");
  const dataDir = path.join(scratchFolder(), "home");
  const manager = await StateManager.open({ dataDir });
  try {
    await manager.updateState("a", "note", { text: "hi" });
    expect((await manager.getState("a", { consistency: "strong" })).data).toEqual({ text: "hi" });
  } finally {
    await manager.close();
  }
});

test("a temporary folder that is not there, or cannot be written to, does not matter to a long path", async () => {
  const folder = scratchFolder();
  const file = path.join(folder, "file");
  writeFileSync(file, "");
  for (const base of [path.join(folder, "gone"), file, "/proc"]) {
    vi.stubEnv("TMPDIR", base);
    const home = await openHome(path.join(folder, `${"long/".repeat(30)}home`));
    expect(await ask(home.address("main"), "select 1")).toBe(1);
    await home.close();
  }
});
