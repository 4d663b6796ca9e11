import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeConfig, formatDescription } from "./describe.ts";
import { loadConfig, loadConfigWithOrigins } from "./load.ts";
import type { ConfigSources } from "./load.ts";
import { OPTION_KEYS, optionOf } from "./options.ts";

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "agent-runtime-config-"));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function describe(sources: Partial<ConfigSources>) {
  const { config, origins } = loadConfigWithOrigins({ cwd, ...sources });
  return describeConfig(config, origins);
}

test("every setting is shown with its value and where it came from", () => {
  writeFileSync(join(cwd, "agent_runtime.yaml"), "\nwrite.batchLimit: 5\n");
  const described = describe({
    flags: { listen: "[::1]:0" },
    env: { AGENT_RUNTIME_LOG_LEVEL: "warn" },
  });
  expect(described.map(({ key }) => key)).toEqual(OPTION_KEYS);
  expect(described).toEqual(
    expect.arrayContaining([
      { key: "listen", value: "[::1]:0", source: "flag", origin: "--listen" },
      { key: "log.level", value: "warn", source: "env", origin: "AGENT_RUNTIME_LOG_LEVEL" },
      { key: "write.batchLimit", value: 5, source: "file", origin: "agent_runtime.yaml:2" },
      { key: "feed.pollMs", value: 200, source: "default", origin: "" },
    ]),
  );
  const lines = formatDescription(described).split("\n");
  expect(lines).toContainEqual(
    expect.stringMatching(/^write\.batchLimit: 5 +# file agent_runtime\.yaml:2$/),
  );
});

test("what is printed is a configuration file that says the same", () => {
  const sources = {
    flags: { listen: "[::1]:0", "data-dir": 'a "b" # c' },
    env: { SUPABASE_DB_URL: "postgres://app@db/main", AGENT_RUNTIME_TELEMETRY_TRACES: "true" },
  };
  const { config, origins } = loadConfigWithOrigins({ cwd, ...sources });
  const printed = formatDescription(describeConfig(config, origins));
  writeFileSync(join(cwd, "printed.yaml"), printed);
  expect(loadConfig({ cwd, file: "printed.yaml" })).toEqual(config);
});

test("each setting that is a secret is masked", () => {
  const canary = "Zq5canary7";
  const token = { name: "a", token: canary, role: "reader" };
  const examples = [
    `postgres://app:${canary}@db/main`,
    `redis://app:${canary}@cache`,
    JSON.stringify([token]),
    canary,
  ];
  for (const key of OPTION_KEYS.filter((each) => optionOf(each).secret === true)) {
    const { kind } = optionOf(key);
    const parsed = examples.map((text) => kind.parse(text, { isText: true, cwd }));
    const shown = parsed.flatMap((each) =>
      each.ok ? [JSON.stringify(kind.show(each.value))] : [],
    );
    expect(shown.length, key).toBeGreaterThan(0);
    expect(shown.join(" "), key).not.toContain(canary);
    expect(shown.join(" "), key).toContain("***");
  }
});

test("no password and no token is ever printed, nor told in an error", () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9]{6,20}$/).map((word) => `Zq${word}7`);
  fc.assert(
    fc.property(secret, fc.boolean(), (secret, isRight) => {
      const url = isRight
        ? `postgres://app:${secret}@db/main?password=${secret}`
        : `postgres://app:${secret}#@db/main`;
      const tokens = JSON.stringify([{ name: "a", token: secret, role: isRight ? "reader" : "x" }]);
      const sources: ConfigSources = {
        cwd,
        flags: { supabaseMain: url, listen: isRight ? "0.0.0.0:1" : url, logLevel: "info" },
        env: {
          AGENT_RUNTIME_AUTH_TOKENS: isRight ? tokens : tokens.slice(1),
          SUPABASE_SECRET_KEY: isRight ? `sb_secret_${secret}` : `${secret} ${secret}`,
        },
      };
      writeFileSync(
        join(cwd, "agent_runtime.yaml"),
        isRight ? "" : `supabase:\n  main: https://x:${secret}@y\nauth: {tokens: [${secret}]}\n`,
      );
      let told: string;
      try {
        const described = describe(sources);
        expect(isRight).toBe(true);
        told = formatDescription(described) + JSON.stringify(described);
        expect(told).toContain("***");
      } catch (error) {
        expect(isRight).toBe(false);
        expect(error).toMatchObject({ code: "INVALID_CONFIG" });
        told = (error as Error).message + JSON.stringify(error);
      }
      expect(told).not.toContain(secret);
    }),
    { numRuns: 50 },
  );
});

test("a token that can be guessed is worth a warning, by its name", () => {
  const tokens = [
    { name: "weak", token: "hunter2", role: "reader" },
    { name: "strong", token: "0123456789abcdef", role: "reader" },
  ];
  const env = { AGENT_RUNTIME_AUTH_TOKENS: JSON.stringify(tokens) };
  const { warnings } = loadConfigWithOrigins({ cwd, env });
  expect(warnings).toEqual([expect.stringContaining('The token of "weak"')]);
  expect(warnings.join()).not.toContain("hunter2");
});

test("a database of another machine whose URL says nothing of encryption is worth a warning, without its password", () => {
  const warningsFor = (url: string, env = {}): readonly string[] =>
    loadConfigWithOrigins({ cwd, env: { SUPABASE_DB_URL: url, ...env } }).warnings;
  const url = "postgres://app:hunter2@db.example:5432/main";
  expect(warningsFor(url)).toEqual([
    expect.stringMatching(/^supabase\.main is reached at db\.example without encryption: /),
  ]);
  expect(warningsFor(url).join()).not.toContain("hunter2");
  expect(warningsFor("postgres://app@localhost/main?host=10.0.0.7")).toHaveLength(1);
  for (const said of [
    `${url}?sslmode=verify-full&sslrootcert=/ca.crt`,
    `${url}?sslmode=disable`,
    `${url}?ssl=true`,
    "postgres://app@127.0.0.1/main",
    "postgres://app@[::1]/main",
    "postgres://%2Frun%2Fpostgresql/main",
    "postgres:///main?host=/run/postgresql",
  ]) {
    expect(warningsFor(said), said).toEqual([]);
  }
  expect(warningsFor(url, { PGSSLMODE: "verify-full" })).toEqual([]);
});
