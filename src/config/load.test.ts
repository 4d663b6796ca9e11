import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import { loadConfig, loadConfigWithOrigins } from "./load.ts";
import type { ConfigSources } from "./load.ts";
import { OPTION_KEYS, flagOf, optionOf, variableOf } from "./options.ts";

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "agent-runtime-config-"));
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function load(sources: Partial<ConfigSources> & { readonly yaml?: string } = {}) {
  const { yaml, ...rest } = sources;
  if (yaml !== undefined) writeFileSync(join(cwd, "agent_runtime.yaml"), yaml);
  return loadConfigWithOrigins({ cwd, ...rest });
}

/** The lines of the refusal, without its head. */
function faultsOf(sources: Parameters<typeof load>[0]): string[] {
  try {
    load(sources);
  } catch (error) {
    expect(error).toBeInstanceOf(AgentRuntimeError);
    expect(error).toMatchObject({ code: "INVALID_CONFIG" });
    return (error as Error).message.split("\n- ").slice(1);
  }
  throw new Error("it was accepted");
}

test("without anything said, every option has its default", () => {
  const { config, origins, warnings } = load();
  expect(config).toMatchObject({
    listen: { host: "127.0.0.1", port: 8080 },
    dataDir: join(cwd, ".agent_runtime"),
    embedded: { binaries: "npm" },
    supabase: { main: "", lanes: 2, readers: 4 },
    write: { batchLimit: 256, queueLimit: 10_000, timeoutMs: 30_000 },
    limits: { dataBytes: 1_048_576, bodyBytes: 16_777_216, pageItems: 1_000 },
    auth: { tokens: [] },
    log: { level: "info", format: "json" },
    telemetry: { traces: false },
    metrics: { enabled: true },
  });
  expect(new Set(Object.values(origins).map(({ source }) => source))).toEqual(new Set(["default"]));
  expect(warnings).toEqual([]);
});

test("a RocketMQ that is named and not used is worth a word", () => {
  const env = { ROCKETMQ_ENDPOINTS: "mq:8081" };
  const { warnings } = load({ env });
  expect(warnings).toEqual([expect.stringContaining("set messages to rocketmq")]);
  expect(load({ env: { ...env, AGENT_RUNTIME_MESSAGES: "rocketmq" } }).warnings).toEqual([]);
});

test("the result is frozen, all the way down", () => {
  const tokens = [{ name: "a", token: "t".repeat(20), role: "reader" }];
  const config = loadConfig({ cwd, env: { AGENT_RUNTIME_AUTH_TOKENS: JSON.stringify(tokens) } });
  for (const part of [
    config,
    config.write,
    config.listen,
    config.auth.tokens,
    config.auth.tokens[0],
  ])
    expect(Object.isFrozen(part)).toBe(true);
});

test("whatever is said where, the flag wins over the variable, that over the file, that over the default", () => {
  const said = fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined });
  const keys = fc.constantFrom(
    "write.batchLimit",
    "watch.bufferChanges",
    "limits.pageItems",
    "feed.pollMs",
  );
  fc.assert(
    fc.property(keys, said, said, said, (key, flag, variable, inFile) => {
      const { config, origins } = load({
        yaml: inFile === undefined ? "" : `${key}: ${inFile}`,
        env: variable === undefined ? {} : { [variableOf(key)]: String(variable) },
        flags: flag === undefined ? {} : { [flagOf(key)]: String(flag) },
      });
      const [section, name] = key.split(".") as [keyof typeof config, string];
      const value = (config[section] as unknown as Record<string, unknown>)[name];
      expect(value).toBe(flag ?? variable ?? inFile ?? optionOf(key).default);
      const source =
        flag !== undefined
          ? "flag"
          : variable !== undefined
            ? "env"
            : inFile !== undefined
              ? "file"
              : "default";
      expect(origins[key].source).toBe(source);
    }),
  );
});

test("flags and variables follow from the keys, and no two options share one", () => {
  expect(flagOf("write.batchLimit")).toBe("write-batch-limit");
  expect(variableOf("write.batchLimit")).toBe("AGENT_RUNTIME_WRITE_BATCH_LIMIT");
  expect(flagOf("embedded.sharedBuffersMiB")).toBe("embedded-shared-buffers-mib");
  expect(new Set(OPTION_KEYS.map(flagOf)).size).toBe(OPTION_KEYS.length);
  expect(new Set(OPTION_KEYS.map(variableOf)).size).toBe(OPTION_KEYS.length);
});

test("flags may be named as a parser of command lines names them, and others are left alone", () => {
  const flags = {
    dataDir: "/data",
    writeBatchLimit: "7",
    embeddedSharedBuffersMib: "32",
    telemetryTraces: true,
    logLevel: undefined,
    json: true,
    authTokens: "[]x",
  };
  const { config, origins } = load({ flags });
  expect(config.dataDir).toBe("/data");
  expect(config.write.batchLimit).toBe(7);
  expect(config.embedded.sharedBuffersMiB).toBe(32);
  expect(config.telemetry.traces).toBe(true);
  expect(origins.dataDir).toEqual({ source: "flag", name: "--data-dir" });
  expect(origins["auth.tokens"].source).toBe("default");
});

test("known variables of others are read, ours first; an empty one is as good as none", () => {
  const [a, b, c] = ["postgres://a/x", "postgres://b/x", "postgres://c/x"];
  const main = (env: Record<string, string>): string => load({ env }).config.supabase.main;
  expect(main({ SUPABASE_DB_URL: c })).toBe(c);
  expect(main({ SUPABASE_DB_URL: c, SUPABASE_MAIN_URL: b })).toBe(b);
  expect(main({ SUPABASE_MAIN_URL: b, AGENT_RUNTIME_SUPABASE_MAIN: a })).toBe(a);
  expect(main({ SUPABASE_MAIN_URL: b, AGENT_RUNTIME_SUPABASE_MAIN: "" })).toBe(b);
  const yaml = `supabase: { main: "${a}" }`;
  expect(load({ yaml, flags: { "supabase-main": "" } }).config.supabase.main).toBe("");
});

test("the variables of a Supabase name its Data API and its key", () => {
  const url = "https://abc.supabase.co";
  const main = (env: Record<string, string>) => {
    const { main, mainKey } = load({ env }).config.supabase;
    return [main, mainKey];
  };
  expect(main({ SUPABASE_URL: url, SUPABASE_SECRET_KEY: "sb_secret_1" })).toEqual([
    url,
    "sb_secret_1",
  ]);
  expect(main({ SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: "a.b.c" })).toEqual([url, "a.b.c"]);
  expect(main({ SUPABASE_URL: url, SUPABASE_DB_URL: "postgres://a/x" })).toEqual([
    "postgres://a/x",
    "",
  ]);
});

test("each Data API needs its key, and all that lack one are told at once", () => {
  const env = {
    SUPABASE_URL: "https://abc.supabase.co",
    SUPABASE_READONLY_URL: "https://def.supabase.co",
    SUPABASE_ROLLBACK_URL: "https://ghi.supabase.co",
    SUPABASE_READONLY_KEY: "sb_secret_2",
  };
  expect(faultsOf({ env })).toEqual([
    expect.stringMatching(/^SUPABASE_URL: supabase\.main is .*AGENT_RUNTIME_SUPABASE_MAIN_KEY/),
    expect.stringMatching(/^SUPABASE_ROLLBACK_URL: supabase\.rollback is .*supabase\.rollbackKey/),
  ]);
});

test("what Kubernetes puts into a pod for the service's own Service is not ours", () => {
  const env = {
    AGENT_RUNTIME_SERVICE_HOST: "10.0.0.1",
    AGENT_RUNTIME_SERVICE_PORT: "8080",
    AGENT_RUNTIME_SERVICE_PORT_HTTP: "8080",
    AGENT_RUNTIME_PORT: "tcp://10.0.0.1:8080",
    AGENT_RUNTIME_PORT_8080_TCP: "tcp://10.0.0.1:8080",
    AGENT_RUNTIME_PORT_8080_TCP_PROTO: "tcp",
    AGENT_RUNTIME_STATE_SERVICE_HOST: "10.0.0.1",
    AGENT_RUNTIME_STATE_PORT: "tcp://10.0.0.1:8080",
    // Of the webhook's Service, and by chance a setting of ours.
    AGENT_RUNTIME_WEBHOOK_PORT: "tcp://10.0.0.2:443",
  };
  expect(load({ env }).config).toMatchObject({ listen: { port: 8080 }, webhook: { port: 8087 } });
  expect(faultsOf({ env: { AGENT_RUNTIME_PORT: "9090" } })).toHaveLength(1);
});

test("every fault of every source is told at once, with where it is", () => {
  const yaml = "supabase:\n  mian: x\n  lanes: 99\nlog: {level: loud}\nwrite.batchLimit: '5'\n";
  const env = { AGENT_RUNTIME_FEED_POLL: "5", AGENT_RUNTIME_METRICS_ENABLED: "maybe" };
  const flags = { listen: "8080", "cache-bytes": "-1" };
  expect(faultsOf({ yaml, env, flags }).toSorted()).toEqual([
    '--cache-bytes: cache.bytes must be a whole number from 0 to 1099511627776, not "-1"',
    '--listen: listen must be HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, not "8080"',
    "AGENT_RUNTIME_FEED_POLL: is no variable of this program; did you mean AGENT_RUNTIME_FEED_POLL_MS?",
    'AGENT_RUNTIME_METRICS_ENABLED: metrics.enabled must be true or false, not "maybe"',
    'agent_runtime.yaml:2: unknown key "supabase.mian"; did you mean supabase.main?',
    "agent_runtime.yaml:3: supabase.lanes must be a whole number from 1 to 16, not 99",
    'agent_runtime.yaml:4: log.level must be debug, info, warn, error or silent, not "loud"',
    'agent_runtime.yaml:5: write.batchLimit must be a whole number from 1 to 1000, not "5"',
  ]);
});

test("a value that is overridden is checked all the same", () => {
  const faults = faultsOf({ yaml: "listen: 80", flags: { listen: "127.0.0.1:0" } });
  expect(faults).toEqual([
    expect.stringContaining("agent_runtime.yaml:1: listen must be HOST:PORT"),
  ]);
});

test.each([
  ["supabase.lane", "supabase.lanes"],
  ["lanes", "supabase.lanes"],
  ["data_dir", "dataDir"],
  ["write.batch_limit", "write.batchLimit"],
  ["supabse.main", "supabase.main"],
])("the unknown key %s is answered with %s", (key, near) => {
  expect(faultsOf({ yaml: `${key}: 1` })).toEqual([
    `agent_runtime.yaml:1: unknown key "${key}"; did you mean ${near}?`,
  ]);
});

test("one wrong letter anywhere in a key still finds the key", () => {
  const letter = fc.stringMatching(/^[a-z]$/);
  const key = fc.constantFrom(...OPTION_KEYS.filter((each) => each.length > 5));
  fc.assert(
    fc.property(key, fc.nat(), letter, (key, at, letter) => {
      const place = at % key.length;
      fc.pre(key[place] !== "." && key[place]!.toLowerCase() !== letter);
      const wrong = `${key.slice(0, place)}${letter}${key.slice(place + 1)}`;
      expect(faultsOf({ yaml: `"${wrong}": 1` })).toEqual([
        expect.stringContaining(`did you mean ${key}?`),
      ]);
    }),
  );
});

test("a key that is near nothing is refused without a guess, a variable too", () => {
  expect(faultsOf({ yaml: "rocket: 1", env: { AGENT_RUNTIME_XYZZY_PLUGH: "1" } })).toEqual([
    'agent_runtime.yaml:1: unknown key "rocket"',
    "AGENT_RUNTIME_XYZZY_PLUGH: is no variable of this program",
  ]);
  const env = { AGENT_RUNTIME_URL: "http://x" };
  expect(load({ yaml: "", env, otherVariables: ["AGENT_RUNTIME_URL"] }).config.listen.port).toBe(
    8080,
  );
});

test("the error names the first field and the nearest, for programs", () => {
  expect(() => load({ yaml: "lisen: x" })).toThrow(
    expect.objectContaining({ facts: { field: "lisen", nearest: "listen" } }),
  );
});

test("a named file that is missing is a fault, the unnamed one is not", () => {
  expect(faultsOf({ file: "other.yaml" })).toEqual(["other.yaml: there is no such file"]);
  expect(faultsOf({ file: "." })).toEqual([".: cannot be read (EISDIR)"]);
  writeFileSync(join(cwd, "other.yaml"), "listen: 127.0.0.1:9");
  expect(load({ file: "other.yaml", yaml: "listen: 127.0.0.1:8" }).config.listen.port).toBe(9);
});

test("a file that is too large to be a configuration is not read", () => {
  expect(faultsOf({ yaml: `# ${"x".repeat(256 * 1024)}` })).toEqual([
    "agent_runtime.yaml: is larger than 262144 bytes: this is no configuration",
  ]);
});

test("a flood of faults is cut", () => {
  const yaml = Array.from({ length: 200 }, (_, i) => `rocket${i}: 1`).join("\n");
  const faults = faultsOf({ yaml });
  expect(faults).toHaveLength(51);
  expect(faults.at(-1)).toBe("and 150 more");
});

test.each([
  "0.0.0.0:80",
  "[::]:80",
  "192.168.1.4:80",
  "example.org:80",
  "127.evil.example:80",
  "12.0.0.1:80",
])("listening on %s without tokens is refused, with what to set", (listen) => {
  expect(faultsOf({ flags: { listen } })).toEqual([
    expect.stringMatching(/^--listen: listen .* set auth\.tokens \(or AGENT_RUNTIME_AUTH_TOKENS\)/),
  ]);
  const tokens = '[{"name":"a","token":"0123456789abcdef","role":"reader"}]';
  const env = { AGENT_RUNTIME_AUTH_TOKENS: tokens };
  expect(load({ flags: { listen }, env }).config.auth.tokens).toHaveLength(1);
});

test.each(["127.0.0.1:0", "127.8.8.8:80", "localhost:80", "[::1]:80"])(
  "listening on %s needs no token",
  (listen) => {
    expect(load({ flags: { listen } }).config.auth.tokens).toEqual([]);
  },
);

test("limits that do not go together are refused, and blamed on the one that was set", () => {
  expect(faultsOf({ yaml: "limits:\n  dataBytes: 33554432\nwrite:\n  queueLimit: 10" })).toEqual([
    expect.stringMatching(/^agent_runtime.yaml:2: limits.bodyBytes \(16777216\) must be at least/),
    expect.stringMatching(/^agent_runtime.yaml:4: write.queueLimit \(10\) must be at least/),
  ]);
});

test("a secret that stands where a URL should is not told", () => {
  const faults = faultsOf({
    flags: { supabaseMain: "hunter2" },
    env: { SUPABASE_DB_URL: "hunter2" },
  });
  expect(faults).toEqual([
    "--supabase-main: supabase.main must be a postgres:// URL, the https:// URL of a Data API, or empty",
    "SUPABASE_DB_URL: supabase.main must be a postgres:// URL, the https:// URL of a Data API, or empty",
  ]);
});

test("a relation is not judged where one of its values is wrong already", () => {
  expect(faultsOf({ flags: { listen: "0.0.0.0:80" }, yaml: "auth: {tokens: 5}" })).toHaveLength(1);
});
