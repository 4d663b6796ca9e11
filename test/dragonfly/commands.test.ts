import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient } from "@redis/client";
import { expect, onTestFinished, test } from "vitest";
import { CACHE_COMMANDS } from "../../dev/services/redis.ts";
import type { Redis } from "../../dev/services/redis.ts";
import { cacheCommands } from "../../src/doctor/checks/cache-commands.ts";
import { examineDragonfly } from "../../src/dragonfly/examine-dragonfly.ts";
import { cacheOn, redisOf, STAND_INS } from "../support/redis.ts";
import { until } from "../support/until.ts";

const page = readFileSync(new URL("../../docs/dragonfly.md", import.meta.url), "utf8");

/** Who may not give these is not let in at all, or not to that database. */
const CONNECTING = ["hello", "select"];

/** What the script of a write may not do is missed by both ways to run it. */
const MISSED_BY: Readonly<Record<string, readonly string[]>> = {
  getrange: ["EVAL", "EVALSHA"],
  set: ["EVAL", "EVALSHA"],
};

test("the page names the commands that the cache's user may give in the tests, and no others", () => {
  const [, list] = /those commands that DragonflyDB documents:((?:,?\s+`[A-Z]+`)+)/.exec(page)!;
  const named = [...list!.matchAll(/`([A-Z]+)`/g)].map(([, command]) => command!.toLowerCase());
  expect(named).toEqual(CACHE_COMMANDS);
});

test.for(STAND_INS)(
  "these are what the cache and its examination send, and what a %s does for them",
  async (server, context) => {
    const redis = await redisOf(context, [], server);
    const url = `${redis.address.url}/1`; // a database by its number costs a SELECT
    const cache = await cacheOn(url);
    const keys = [randomUUID(), randomUUID()];
    for (const version of [1n, 2n]) {
      cache.put(keys[0]!, { version, settled: 1, text: "" }, 60_000);
      await until(async () => (await cache.get([keys[0]!]))[0]?.version === version);
    }
    await cache.get(keys);
    const options = { url, prefix: "test:", connectTimeoutMs: 10_000 };
    expect(await examineDragonfly(options)).toEqual({ refused: [] });
    expect(await commandsOf(redis)).toEqual(CACHE_COMMANDS.toSorted());
  },
);

test.for(STAND_INS)(
  "the doctor finds each that its user may not give, and says which it needs, on a %s",
  async (server, context) => {
    const { address } = await redisOf(context, [], server);
    const admin = await quietAdmin(address.adminUrl);
    const options = { url: address.url, prefix: "test:", connectTimeoutMs: 10_000 };
    const needed = CACHE_COMMANDS.filter((command) => !CONNECTING.includes(command));
    for (const command of needed) {
      await admin.sendCommand(["ACL", "SETUSER", "cache", `-${command}`]);
      await admin.sendCommand(["SCRIPT", "FLUSH"]);
      const facts = await examineDragonfly(options);
      const named = facts.refused.map((refusal) => refusal.slice(0, refusal.indexOf(":")));
      expect(named, command).toEqual(MISSED_BY[command] ?? [command.toUpperCase()]);
      for (const refusal of facts.refused) {
        expect(refusal, command).toMatch(/NOPERM|can't run this command|ACL failure in script/);
      }
      const { remedy } = cacheCommands.look(facts)!;
      expect(remedy.match(/[A-Z]{2,}/g)!.map((word) => word.toLowerCase())).toEqual(needed);
      await admin.sendCommand(["ACL", "SETUSER", "cache", `+${command}`]);
    }
  },
);

test("a user who may not give MGET is served all the same", async (context) => {
  const { address } = await redisOf(context);
  const admin = await quietAdmin(address.adminUrl);
  await admin.sendCommand(["ACL", "SETUSER", "cache", "-mget"]);
  const cache = await cacheOn(address.url);
  cache.put("one", { version: 1n, settled: 1, text: "text" }, 60_000);
  await until(async () => (await cache.get(["one", "two"]))[0] !== undefined);
  expect(cache.errors).toBe(0);
});

test.for(STAND_INS)(
  "what somebody else wrote over an entry, or cut off it, is not there, on a %s",
  async (server, context) => {
    const { address } = await redisOf(context, [], server);
    const admin = await quietAdmin(address.adminUrl);
    const cache = await cacheOn(address.url);
    const entry = { version: 7n, settled: 40, text: '["note","s","1"]\n{"paid":false}' };
    cache.put("one", entry, 60_000);
    const found = async (): Promise<unknown> => (await cache.get(["one"]))[0];
    await until(async () => (await found()) !== undefined);
    const [key] = await admin.sendCommand<string[]>(["KEYS", "*one"]);
    const whole = await admin.sendCommand<string>(["GET", key!]);
    const spoilt = [
      "",
      "garbage",
      whole.slice(0, -1),
      whole.replace("false", "true"),
      whole.replace(/^7/, "8"),
      whole.replace(/^7 40/, "7 99"),
      whole.replace(/^\S+/, "9999999999999999999"),
    ];
    for (const value of spoilt) {
      await admin.sendCommand(["SET", key!, value]);
      expect(await found(), value).toBeUndefined();
    }
    await admin.sendCommand(["SET", key!, whole]);
    expect(await found()).toEqual(entry);
  },
);

test.for(STAND_INS)(
  "a full cache, and a key that holds something else, cost no connection, on a %s",
  async (server, context) => {
    const { address } = await redisOf(context, [], server);
    const admin = await quietAdmin(address.adminUrl);
    const cache = await cacheOn(address.url);
    const entry = { version: 1n, settled: 1, text: "text" };
    cache.put("one", entry, 60_000);
    await until(async () => (await cache.get(["one"]))[0] !== undefined);
    await admin.sendCommand(["RPUSH", "test:2:list", "x"]);
    for (let n = 0; n < 5; n++) expect(await cache.get(["list"])).toEqual([undefined]);
    expect([cache.trouble, cache.errors]).toEqual([null, 5]);
    await admin.sendCommand(["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"]);
    for (let n = 0; n < 5; n++) cache.put(`more-${n}`, entry, 60_000);
    await until(() => cache.errors === 10);
    expect(cache.trouble).toBeNull();
    expect(await cache.get(["one"])).toEqual([entry]);
  },
);

/** What was called since it was started, in scripts too; without what asking costs. */
async function commandsOf({ address }: Redis): Promise<string[]> {
  const admin = await quietAdmin(address.adminUrl);
  const stats = await admin.sendCommand<string>(["INFO", "commandstats"]);
  const called = [...stats.matchAll(/^cmdstat_([^:]+):/gm)].map(([, command]) => command!);
  return called.filter((command) => command !== "info").toSorted();
}

/** Who says no more than it is told to. */
async function quietAdmin(url: string) {
  const admin = createClient({ url, disableClientInfo: true, maintNotifications: "disabled" });
  await admin.connect();
  onTestFinished(() => admin.destroy());
  return admin;
}
