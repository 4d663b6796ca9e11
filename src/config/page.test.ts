import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import { OPTION_KEYS, OPTIONS } from "./options.ts";
import { configPage, flagHelp } from "./page.ts";

test("docs/config.md is the table (npx vitest run src/config/page.test.ts -u writes it anew)", async () => {
  await expect(configPage()).toMatchFileSnapshot("../../docs/config.md");
});

test("the example on the page is a configuration that loads", () => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(configPage())![1]!;
  const cwd = mkdtempSync(join(tmpdir(), "agent-runtime-config-"));
  try {
    writeFileSync(join(cwd, "agent_runtime.yaml"), yaml);
    const config = loadConfig({ cwd });
    expect(config.supabase.lanes).toBe(4);
    expect(config.write.batchLimit).toBe(512);
    expect(config.auth.tokens.map(({ namespace }) => namespace)).toEqual([null, "acme"]);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test("every option has a flag for the help, except those that would show a secret", () => {
  const help = flagHelp();
  expect(help).toHaveLength(OPTION_KEYS.length - 1);
  expect(help.map(({ key }) => key)).not.toContain("auth.tokens");
  expect(help.find(({ key }) => key === "write.batchLimit")).toEqual({
    key: "write.batchLimit",
    usage: "--write-batch-limit <number>",
    sentence:
      "The most concurrent writes that share one transaction. (a whole number from 1 to 1000, in changesets; default 256)",
  });
});

test("every option says in a sentence what it is for", () => {
  for (const { sentence } of Object.values(OPTIONS)) expect(sentence).toMatch(/^[A-Z].*\.$/);
});
