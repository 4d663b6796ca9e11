import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { standingOfSandbox } from "../../src/lifecycle/sandbox.ts";
import type { Sandbox } from "../../src/lifecycle/sandbox.ts";
import { SANDBOXES } from "../../src/lifecycle/subjects.ts";
import { knownSandboxes } from "../../src/reflector/known.ts";
import type { SandboxObject } from "../../src/reflector/sandbox-facts.ts";
import { Sandboxes } from "../../src/reflector/sandboxes.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";
import { Book } from "./book.ts";
import { FAULTS, FaultyApiServer } from "./faulty-api-server.ts";
import type { Fault } from "./faulty-api-server.ts";
import { second } from "./pods.ts";
import { newSandbox, ready, saying, suspended, wanted } from "./sandbox-objects.ts";

const RUNS = proofLength({ short: 6, full: 200 });
const NAMES = ["a", "b"] as const;
const ACTS = [
  "create",
  "ready",
  "suspend",
  "suspended",
  "resume",
  "fail",
  "delete",
  "replace",
] as const;
type Act = (typeof ACTS)[number];
type Step =
  | { readonly act: Act; readonly name: (typeof NAMES)[number] }
  | { readonly fault: Fault }
  | { readonly kind: "goes" | "comes" };

/** An API server that knows Sandbox objects or does not, and what became of each. */
class World {
  readonly server = new FaultyApiServer();
  /** In which phase it is, and in which it is wanted. */
  readonly truth = new Map<string, string>();
  readonly #objects = new Map<string, SandboxObject>();
  #isKnown = true;
  #clock = 0;

  constructor() {
    this.server.serveSandboxes("v1alpha1", "v1beta1");
  }

  act(act: Act, name: string): void {
    const at = (this.#clock += 10);
    if (!this.#isKnown) return;
    const object = this.#objects.get(name);
    if (act === "delete" || act === "replace") this.#end(object);
    if (act === "replace" || (act === "create" && object === undefined)) {
      this.#put(newSandbox(name, `uid-${name}-${at}`, at), "requested running");
    } else if (object !== undefined) this.#live(act, object, at);
  }

  kind(step: "goes" | "comes"): void {
    this.#isKnown = step === "comes";
    if (this.#isKnown) this.server.serveSandboxes("v1beta1");
    else {
      for (const object of this.#objects.values()) this.#forget(object);
      this.server.serveSandboxes();
    }
  }

  #live(act: Act, object: SandboxObject, at: number): void {
    const [phase, wish] = this.truth.get(object.metadata.uid)!.split(" ") as [string, string];
    if (act === "ready") this.#put(ready(object, at), `running ${wish}`);
    if (act === "suspend") this.#put(wanted(object, "Suspended"), `${phase} paused`);
    if (act === "suspended") this.#put(suspended(object, at), `paused ${wish}`);
    if (act === "resume") this.#put(wanted(object, "Running"), `${phase} running`);
    if (act === "fail") {
      const failed = saying(object, "Ready", ["False", "ReconcilerError"], at);
      this.#put(failed, `creating ${wish}`);
    }
  }

  #put(object: SandboxObject, standing: string): void {
    this.#objects.set(object.metadata.name, object);
    this.truth.set(object.metadata.uid, standing);
    this.server.put(object, "sandboxes");
  }

  #end(object: SandboxObject | undefined): void {
    if (object === undefined) return;
    this.server.delete(object.metadata, "sandboxes");
    this.#forget(object);
  }

  #forget({ metadata }: SandboxObject): void {
    this.#objects.delete(metadata.name);
    this.truth.set(metadata.uid, "deleted deleted");
  }
}

interface Following {
  readonly book: Book;
  readonly world: World;
  readonly sandboxes: Sandboxes;
  /** Ends all of it; safe twice. */
  readonly end: () => Promise<void>;
}

async function follow({ book = new Book(), world = new World() } = {}): Promise<Following> {
  const server = await world.server.start();
  const over = new AbortController();
  const sandboxes = new Sandboxes({
    client: new KubernetesClient({ server, token: () => Promise.resolve(null) }),
    sink: book,
    known: (...how) => knownSandboxes(book, ...how),
    namespaces: [null],
    selector: "",
    all: false,
    clock: systemClock,
    log: silentLog,
    page: 1,
    silenceMs: 400,
    lookMs: 10,
    backoff: { firstMs: 5, maxMs: 40 },
  });
  const running = sandboxes.run(over.signal);
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    over.abort();
    ending ??= running.then(() => world.server.stop());
    return ending;
  };
  onTestFinished(end);
  return { book, world, sandboxes, end };
}

/** Of one that came and went while nobody looked, nobody needs to know. */
function differences({ world, book }: Following): string[] {
  return [...world.truth].flatMap(([uid, standing]) => {
    const sandbox = book.sandboxes.get(uid);
    const told = sandbox === undefined ? "deleted deleted" : standingIn(sandbox);
    return told === standing ? [] : [`${uid} is ${standing}, and is told to be ${told}`];
  });
}

function standingIn(sandbox: Sandbox): string {
  const { observed, desired } = standingOfSandbox(sandbox);
  return `${observed} ${desired}`;
}

async function play(steps: readonly Step[], following?: Following): Promise<Following> {
  const all = following ?? (await follow());
  for (const step of steps) {
    if ("act" in step) all.world.act(step.act, step.name);
    else if ("fault" in step) all.world.server.fail(step.fault);
    else all.world.kind(step.kind);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => differences(all)).toEqual([]);
  return all;
}

const LIFE: readonly Step[] = [
  ...NAMES.map((name) => ({ act: "create", name }) as const),
  ...NAMES.map((name) => ({ act: "ready", name }) as const),
  { act: "suspend", name: "a" },
  { act: "suspended", name: "a" },
];

test.each(FAULTS)("after the fault %s everything is known again", async (fault) => {
  const { world } = await play([
    ...LIFE,
    { fault },
    { act: "replace", name: "a" },
    { fault },
    { act: "suspend", name: "b" },
  ]);
  await expect.poll(() => world.server.met).toContain(fault);
});

test("before their kind is there, nothing is asked but whether it is", async () => {
  const world = new World();
  world.kind("goes");
  const following = await follow({ world });
  await until(() => world.server.asked.length > 2, { what: "looks" });
  expect(new Set(world.server.asked)).toEqual(new Set(["/apis/agents.x-k8s.io"]));
  expect(following.sandboxes.figures).toMatchObject({ pods: 0, lists: 0, failures: 0 });
  await play([{ kind: "comes" }, ...LIFE], following);
  expect(following.sandboxes.figures.pods).toBe(2);
});

test("with their kind all of them go; it may come back", async () => {
  const following = await play(LIFE);
  await play([{ kind: "goes" }], following);
  expect(following.sandboxes.figures.pods).toBe(0);
  await play(
    [{ kind: "comes" }, { act: "create", name: "a" }, { act: "ready", name: "a" }],
    following,
  );
  const phases = [...following.book.sandboxes.values()].map((each) => SANDBOXES.phase(each));
  expect(phases.toSorted()).toEqual(["deleted", "deleted", "running"]);
});

test("a kind that is away for a moment takes none with it", async () => {
  const following = await play(LIFE);
  const { server } = following.world;
  const told = following.book.facts.length;
  // As one of several API servers that has not heard of it yet: what it has stays.
  server.hideSandboxes(1);
  await until(() => following.sandboxes.figures.lists > 1, { what: "another list" });
  expect(following.book.facts.slice(told)).toEqual([]);
  await play([{ act: "ready", name: "a" }], following);
});

test("the older version is read where there is no other", async () => {
  const world = new World();
  world.server.serveSandboxes("v1alpha1");
  const { book } = await follow({ world });
  const { operatingMode: _, ...spec } = newSandbox("a", "uid-a", 1).spec!;
  const old = { ...newSandbox("a", "uid-a", 1), spec: { ...spec, replicas: 0 } };
  world.server.put(suspended(old, 3), "sandboxes");
  await until(() => book.phaseOf("uid-a") === "paused", { what: "one that is suspended" });
});

test("one that was deleted while nobody looked is told to be gone", async () => {
  const book = new Book();
  const [created, form] = [
    { fact: "create", incarnation: null },
    { fact: "ready", incarnation: "1" },
  ] as const;
  const gone = {
    source: "sandbox",
    podUid: "uid-gone",
    podName: "gone",
    namespace: "agents",
  } as const;
  const rest = { node: null, container: null, at: new Date(second(1)).toISOString(), labels: {} };
  await book.publish([created, form].map((each) => ({ ...gone, ...rest, ...each })));
  const world = new World();
  world.truth.set("uid-gone", "deleted deleted");
  await play(LIFE, await follow({ book, world }));
  expect(book.phaseOf("uid-gone")).toBe("deleted");
});

test("whatever happens to them, to the watch and to their kind, the end is told as it is", async () => {
  const act = fc.record({ act: fc.constantFrom(...ACTS), name: fc.constantFrom(...NAMES) });
  const fault = fc.record({ fault: fc.constantFrom(...FAULTS) });
  const kind = fc.record({ kind: fc.constantFrom("goes" as const, "comes" as const) });
  const step = fc.oneof(
    { weight: 8, arbitrary: act },
    { weight: 2, arbitrary: fault },
    { weight: 1, arbitrary: kind },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const { end } = await play([...LIFE, ...steps]);
      await end(); // else it would look on, beside all that follow
    }),
    { numRuns: RUNS, endOnFailure: true }, // a run that never settles takes a minute to say so
  );
});
