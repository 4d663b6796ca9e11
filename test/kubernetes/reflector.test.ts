import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { PODS } from "../../src/reflector/kind.ts";
import { knownPods } from "../../src/reflector/known.ts";
import { Reflector } from "../../src/reflector/reflector.ts";
import { factsOf } from "../../src/reflector/pod-facts.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { systemClock } from "../../src/service/clock.ts";
import { proofLength } from "../support/length.ts";
import { Book } from "./book.ts";
import { FAULTS, FaultyApiServer } from "./faulty-api-server.ts";
import type { Fault } from "./faulty-api-server.ts";
import {
  inState,
  newPod,
  saidReady,
  scheduled,
  second,
  terminated,
  withCondition,
} from "./pods.ts";

const RUNS = proofLength({ short: 8, full: 300 });
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const NAMES = ["a", "b", "c"] as const;
const ACTS = [
  "create",
  "run",
  "crash",
  "finish",
  "evict",
  "lose",
  "return",
  "delete",
  "replace",
  "unlabel",
] as const;
type Act = (typeof ACTS)[number];
type Step =
  | { readonly act: Act; readonly name: (typeof NAMES)[number] }
  | { readonly fault: Fault }
  | { readonly refusal: true };

/** An API server with pods that live, and what became of each. */
class World {
  readonly server = new FaultyApiServer();
  readonly truth = new Map<string, string>();
  readonly #pods = new Map<string, PodObject>();
  #clock = 0;

  act(act: Act, name: string): void {
    const at = (this.#clock += 10);
    const pod = this.#pods.get(name);
    if (pod === undefined) {
      if (act === "create" || act === "replace")
        this.#put(newPod(name, `uid-${at}`, at), "requested");
    } else if (act === "delete") this.#end(pod);
    else if (act === "replace") {
      this.#end(pod);
      this.#put(newPod(name, `uid-${at}`, at), "requested");
    } else if (act === "unlabel") this.server.unlabel(pod.metadata);
    else if (this.truth.get(pod.metadata.uid) !== "failed") this.#live(act, pod, at);
  }

  #live(act: Act, pod: PodObject, at: number): void {
    const placed = scheduled(pod, at - 5);
    const run = at;
    if (act === "run")
      this.#put(inState(placed, { running: { startedAt: second(at) } }, { run }), "running");
    const [from, to] = [at, at + 1];
    if (act === "crash")
      this.#put(inState(placed, terminated(3, { run, from, to }), { phase: "Failed" }), "failed");
    if (act === "finish")
      this.#put(inState(placed, terminated(0, { run, from, to }), { run }), "stopped");
    if (act === "evict") {
      const failed = { ...placed, status: { ...placed.status, phase: "Failed" } };
      const reason = "TerminationByKubelet";
      this.#put(withCondition(failed, "DisruptionTarget", at, { reason }), "failed");
    }
    if (act === "lose") this.#lose(placed, at);
    if (act === "return") this.#return(placed, at);
  }

  /** Its node is heard of no more. */
  #lose(pod: PodObject, at: number): void {
    if (this.truth.get(pod.metadata.uid) !== "running") return;
    const known = withCondition(pod, "ContainersReady", at);
    this.#put(withCondition(known, "Ready", at, { status: "False" }), "unknown");
  }

  /** It is heard of again, and tells since when the pod has been ready as it did before. */
  #return(pod: PodObject, at: number): void {
    if (this.truth.get(pod.metadata.uid) !== "unknown") return;
    this.#put(saidReady(withCondition(pod, "Ready", 0), at), "running");
  }

  #put(pod: PodObject, phase: string): void {
    this.#pods.set(pod.metadata.name, pod);
    this.truth.set(pod.metadata.uid, phase);
    this.server.put(pod);
  }

  #end(pod: PodObject): void {
    this.#pods.delete(pod.metadata.name);
    this.truth.set(pod.metadata.uid, "deleted");
    this.server.delete(pod.metadata);
  }
}

async function play(
  steps: readonly Step[],
  { book = new Book(), world = new World() } = {},
): Promise<FaultyApiServer> {
  const server = await world.server.start();
  const over = new AbortController();
  const reflector = new Reflector({
    kind: PODS,
    client: new KubernetesClient({ server, token: () => Promise.resolve(null) }),
    sink: book,
    known: (isThere, signal) => knownPods(book, isThere, signal),
    namespace: null,
    selector: "agentruntime.dev/agent",
    clock: systemClock,
    log: SILENT,
    page: 2,
    silenceMs: 400,
    backoff: { firstMs: 5, maxMs: 40 },
  });
  const running = reflector.run(over.signal);
  try {
    for (const step of steps) {
      if ("act" in step) world.act(step.act, step.name);
      else if ("fault" in step) world.server.fail(step.fault);
      else book.refusals += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => differences(world, book)).toEqual([]);
    return world.server;
  } finally {
    over.abort();
    await running;
    await world.server.stop();
  }
}

/** Of a pod that came and went while nobody looked, nobody needs to know. */
function differences({ truth }: World, book: Book): string[] {
  return [...truth].flatMap(([uid, phase]) => {
    const told = book.phaseOf(uid);
    const isRight = told === phase || (told === undefined && phase === "deleted");
    return isRight ? [] : [`${uid} is ${phase}, and is told to be ${told ?? "nothing"}`];
  });
}

const LIFE: readonly Step[] = [
  ...NAMES.map((name) => ({ act: "create", name }) as const),
  ...NAMES.map((name) => ({ act: "run", name }) as const),
];

test.each(FAULTS)("after the fault %s everything is known again", async (fault) => {
  const server = await play([
    ...LIFE,
    { fault },
    { act: "replace", name: "a" },
    { fault },
    { act: "crash", name: "b" },
    { act: "delete", name: "c" },
  ]);
  await expect.poll(() => server.met).toContain(fault);
});

test("a sink that refuses is told again", () =>
  play([{ refusal: true }, ...LIFE, { refusal: true }, { act: "delete", name: "a" }]));

test("run again it goes on, and tells what the end of the run before came between", async () => {
  const world = new World();
  const server = await world.server.start();
  const book = new Book();
  const first = new AbortController();
  const reflector = new Reflector({
    kind: PODS,
    client: new KubernetesClient({ server, token: () => Promise.resolve(null) }),
    sink: {
      publish: (facts) => {
        if (first.signal.aborted || facts[0]!.podName === "a") return book.publish(facts);
        first.abort();
        return Promise.reject(new Error("it ends"));
      },
    },
    known: null,
    namespace: null,
    selector: "",
    clock: systemClock,
    log: SILENT,
  });
  world.act("create", "a");
  const runs = [reflector.run(first.signal)];
  const second = new AbortController();
  // Where the test fails as well: else it would look on, beside all that follow.
  onTestFinished(async () => {
    first.abort();
    second.abort();
    await Promise.all(runs);
    await world.server.stop();
  });
  await expect.poll(() => world.server.watches).toBe(1);
  world.act("create", "b");
  await runs[0];
  runs.push(reflector.run(second.signal));
  await expect.poll(() => differences(world, book)).toEqual([]);
  expect(reflector.figures.lists).toBe(1);
});

test("a pod that was deleted while nobody looked is told to be gone", async () => {
  const book = new Book();
  const world = new World();
  const gone = newPod("d", "uid-gone", 1);
  await book.publish(factsOf(gone));
  world.truth.set("uid-gone", "deleted");
  await play(LIFE, { book, world });
  expect(book.phaseOf("uid-gone")).toBe("deleted");
});

test("a pod that has lost its label is not told to be gone", () =>
  play([...LIFE, { act: "unlabel", name: "a" }, { act: "finish", name: "b" }]));

test("whatever happens to pods and to the watch, the end is told as it is", async () => {
  const act = fc.record({ act: fc.constantFrom(...ACTS), name: fc.constantFrom(...NAMES) });
  const fault = fc.record({ fault: fc.constantFrom(...FAULTS) });
  const refusal = fc.record({ refusal: fc.constant<true>(true) });
  const step = fc.oneof(
    { weight: 6, arbitrary: act },
    { weight: 2, arbitrary: fault },
    { weight: 1, arbitrary: refusal },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      await play([...LIFE, ...steps]);
    }),
    { numRuns: RUNS, endOnFailure: true }, // a run that never settles takes a minute to say so
  );
});
