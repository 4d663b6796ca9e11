import { expect, test } from "vitest";
import { Metrics } from "./metrics.ts";

async function linesOf(metrics: Metrics): Promise<string[]> {
  return (await metrics.render()).body.split("\n");
}

test("operations are counted by outcome, in buckets that add up", async () => {
  const metrics = new Metrics();
  for (const seconds of [0.00005, 0.0001, 0.0002, 0.3, 60]) metrics.observe("get", "ok", seconds);
  metrics.observe("get", "STATE_NOT_FOUND", 0.001);
  const lines = await linesOf(metrics);
  const name = "agent_runtime_operation_seconds";
  const labels = 'operation="get",outcome="ok"';
  const bucket = (le: string): string | undefined =>
    lines.find(
      (line) => line.startsWith(`${name}_bucket{`) && line.includes(`${labels},le="${le}"`),
    );
  expect(lines).toContain(`# TYPE ${name} histogram`);
  expect(
    ["0.0001", "0.00025", "0.25", "0.5", "10", "+Inf"].map((le) => bucket(le)?.split(" ")[1]),
  ).toEqual(["2", "3", "3", "4", "4", "5"]);
  expect(lines).toContain(`${name}_count{${labels}} 5`);
  expect(lines).toContain(`${name}_sum{${labels}} ${0.00005 + 0.0001 + 0.0002 + 0.3 + 60}`);
  expect(lines).toContain(`${name}_count{operation="get",outcome="STATE_NOT_FOUND"} 1`);
});

test("counters count, and what belongs to others is asked of its owner at that moment", async () => {
  const metrics = new Metrics();
  let waiting = 3;
  metrics.countChanges(2);
  metrics.countChanges(5);
  metrics.countRestart("main");
  metrics.observeBatch(3);
  metrics.exposeQueue("write", () => waiting);
  metrics.exposeLanesBusy(() => 1);
  metrics.exposeWatchers(() => 4);
  metrics.exposeFeedLag(() => 0.25);
  metrics.exposeCache("l1", () => ({ hits: 10, misses: 2, size: 7, bytes: 700 }));
  waiting = 9;
  expect(await linesOf(metrics)).toEqual(
    expect.arrayContaining([
      "agent_runtime_changes_total 7",
      'agent_runtime_server_restarts_total{server="main"} 1',
      'agent_runtime_batch_size_bucket{le="2"} 0',
      'agent_runtime_batch_size_bucket{le="4"} 1',
      'agent_runtime_queue_length{queue="write"} 9',
      "agent_runtime_lanes_busy 1",
      "agent_runtime_watchers 4",
      "agent_runtime_feed_lag_seconds 0.25",
      'agent_runtime_cache_hits_total{cache="l1"} 10',
      'agent_runtime_cache_misses_total{cache="l1"} 2',
      'agent_runtime_cache_entries{cache="l1"} 7',
      'agent_runtime_cache_bytes{cache="l1"} 700',
    ]),
  );
});

test("everything has a help line and a type, and the type of its content is said", async () => {
  const { contentType, body } = await new Metrics().render();
  expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  const names = (kind: string): string[] =>
    [...body.matchAll(new RegExp(`^# ${kind} (\\S+) .+$`, "gm"))].map((match) => match[1]!);
  expect(names("HELP")).toHaveLength(25);
  expect(names("TYPE")).toEqual(names("HELP"));
});

test("two in one process do not mix, and one can tell of the process itself", async () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.countChanges(1);
  one.addProcess();
  expect(await linesOf(one)).toContain("agent_runtime_changes_total 1");
  expect(await linesOf(other)).toContain("agent_runtime_changes_total 0");
  expect((await one.render()).body).toContain("nodejs_eventloop_lag_seconds");
  expect((await other.render()).body).not.toContain("nodejs_");
  other.addProcess();
  for (const { body } of [await one.render(), await other.render()]) {
    const names = [...body.matchAll(/^# HELP (\S+)/gm)].map((match) => match[1]!);
    expect(names).toContain("nodejs_gc_duration_seconds");
    expect(new Set(names).size).toBe(names.length);
    expect(body.match(/^$/gm)).toHaveLength(names.length); // one behind each, as a page of one registry has them
  }
});

test("a label that holds quotes and line ends stays one line", async () => {
  const metrics = new Metrics();
  metrics.exposeQueue('a"b\nc', () => 1);
  expect(await linesOf(metrics)).toContain('agent_runtime_queue_length{queue="a\\"b\\nc"} 1');
});
