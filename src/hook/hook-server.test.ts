import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../service/clock.ts";
import { silentLog } from "../service/log.ts";
import { Spool } from "../spool/spool.ts";
import { SpooledSink } from "../spool/spooled-sink.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { FactSink } from "../state/fact-sink.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { HookRuns } from "./hook-runs.ts";
import { HookServer } from "./hook-server.ts";
import type { HookServerOptions } from "./hook-server.ts";
import { podIdentityOf } from "./pod-identity.ts";

const ENV = {
  POD_UID: "uid-1",
  POD_NAME: "agent-7",
  POD_NAMESPACE: "agents",
  NODE_NAME: "node-1",
  AGENT_ID: "alice",
  AGENT_CONTAINER: "main",
};

const AWAY: FactSink = {
  publish: () => Promise.reject(new AgentRuntimeError("UNAVAILABLE", "away")),
};

async function startHook(
  to: FactSink,
  options: Partial<HookServerOptions> & { readonly maxRecords?: number } = {},
): Promise<{ readonly url: string; readonly sink: SpooledSink }> {
  const folder = await mkdtemp(path.join(tmpdir(), "hook-"));
  const { maxRecords = 1_000, ...given } = options;
  const spool = await Spool.open({ folder, maxRecords, log: silentLog });
  const sink = new SpooledSink({ spool, to, log: silentLog });
  const server = new HookServer({
    pod: podIdentityOf(ENV),
    sink,
    host: "127.0.0.1",
    port: 0,
    answerMs: 60_000,
    clock: systemClock,
    log: silentLog,
    ...given,
  });
  const url = await server.start();
  onTestFinished(async () => {
    await server.stop();
    await sink.close();
    await rm(folder, { recursive: true });
  });
  return { url, sink };
}

async function call(url: string): Promise<{ readonly status: number; readonly body: object }> {
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as object };
}

test("a hook is answered, and its fact handed on", async () => {
  const told: LifecycleFact[] = [];
  const { url, sink } = await startHook({
    publish: async (facts) => void told.push(...facts),
  });
  const answer = await call(`${url}/v1/hooks/main/postStart`);
  expect(answer).toMatchObject({ status: 200, body: { container: "main", spooled: true } });
  await sink.close({ drainMs: 60_000 });
  expect(told).toEqual([
    {
      source: "hook",
      podUid: "uid-1",
      podName: "agent-7",
      namespace: "agents",
      node: "node-1",
      container: "main",
      incarnation: null,
      fact: "postStart",
      at: (answer.body as { at: string }).at,
      labels: { "agentruntime.dev/agent": "alice", "agentruntime.dev/container": "main" },
    },
  ]);
});

test("while nobody takes facts, hooks are answered and wait on disk", async () => {
  const { url, sink } = await startHook(AWAY);
  const hooks = Array.from({ length: 20 }, (_, n) => call(`${url}/v1/hooks/c${n}/preStop`));
  expect((await Promise.all(hooks)).map(({ status }) => status)).toEqual(Array(20).fill(200));
  expect(sink.figures).toMatchObject({ waiting: 20, handedOn: 0 });
  expect(await call(`${url}/healthz`)).toMatchObject({
    status: 200,
    body: { answered: 20, unspooled: 0, waiting: 20 },
  });
});

test("where a fact cannot be kept, the container goes on all the same, and the answer says so", async () => {
  const { url } = await startHook(AWAY, { maxRecords: 1 });
  await call(`${url}/v1/hooks/main/postStart`);
  const answer = await call(`${url}/v1/hooks/main/preStop`);
  expect(answer).toMatchObject({ status: 202, body: { spooled: false } });
});

test("a disk that hangs holds nobody back", async () => {
  const hangs = { publish: () => new Promise<void>(() => {}) };
  const figures = { waiting: 0, handedOn: 0, refused: 0, failures: 0 };
  const { url } = await startHook(AWAY, { sink: { ...hangs, figures }, answerMs: 1 });
  expect(await call(`${url}/v1/hooks/main/preStop`)).toMatchObject({
    status: 202,
    body: { detail: "the disk took longer than 1 ms" },
  });
});

test.each([
  ["/v1/hooks/main/prestop", 404],
  ["/v1/hooks/main", 404],
  ["/v1/hooks/%00/preStop", 400],
  ["/v1/hooks/%E0%A4%A/preStop", 400],
  ["/", 404],
])("%s is answered %i", async (asked, status) => {
  const { url } = await startHook(AWAY);
  expect((await call(url + asked)).status).toBe(status);
});

test("the same preStop again is the same fact, until the container starts anew", () => {
  const runs = new HookRuns();
  expect(runs.timeOf("main", "postStart", 10)).toBe(10);
  expect(runs.timeOf("main", "preStop", 20)).toBe(20);
  expect(runs.timeOf("main", "preStop", 30)).toBe(20);
  expect(runs.timeOf("other", "preStop", 31)).toBe(31);
  expect(runs.timeOf("main", "postStart", 40)).toBe(40);
  expect(runs.timeOf("main", "preStop", 50)).toBe(50);
});

test("a pod that does not say which it is, is told all that is missing", () => {
  expect(() => podIdentityOf({ POD_NAME: "agent-7" })).toThrow(
    /set POD_UID \(metadata.uid\), POD_NAMESPACE \(metadata.namespace\) from the downward API/,
  );
});
