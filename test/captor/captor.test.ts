import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Cri } from "../../dev/services/cri.ts";
import type { CriPod } from "../../dev/services/cri.ts";
import { Containerd } from "../../src/containerd/containerd.ts";
import type { Standing } from "../../src/lifecycle/standing.ts";
import { systemClock } from "../../src/service/clock.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import { run } from "../cli/fake-terminal.ts";
import { expectOnePhase, expectOneState } from "../support/any-order.ts";
import { describeOnContainerd } from "../support/containerd.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";
import { inject, wireNow } from "./kata-shapes.ts";
import { listen } from "./node.ts";
import type { Listening } from "./node.ts";

const LABELS = { "agentruntime.dev/agent": "alice" };
/** Ends well when it is told to. */
const SERVE = ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"];

/** A containerd whose bus gives marks back when it is told to, and may lose one. */
function heldBus(socket: string): {
  readonly containerd: Containerd;
  readonly marks: number;
  readonly release: () => void;
  readonly lose: () => void;
} {
  const containerd = new Containerd({ socket, namespace: "k8s.io", clock: systemClock });
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let marks = 0;
  let isLost = false;
  const subscribe = containerd.subscribe.bind(containerd);
  containerd.subscribe = (listener) => {
    const subscription = subscribe(listener);
    const mark = subscription.mark.bind(subscription);
    subscription.mark = async (timeoutMs) => {
      marks += 1;
      await held;
      if (isLost) {
        isLost = false;
        throw new AgentRuntimeError("UNAVAILABLE", "no event came back");
      }
      await mark(timeoutMs);
    };
    return subscription;
  };
  return {
    containerd,
    get marks() {
      return marks;
    },
    release: () => release(),
    lose: () => void (isLost = true),
  };
}

await describeOnContainerd("captor", (containerd) => {
  let cri: Cri;
  let listening: Listening;

  beforeAll(() => {
    cri = new Cri(containerd);
  });
  afterAll(() => cri.close());
  beforeEach(async () => {
    listening = listen(containerd);
    await until(() => listening.captor.figures.listedAtMs > 0, { what: "a first listing" });
  });
  afterEach(() => listening.stop());

  /** Where a pod ends by what was told of it, in whatever order, however often, and with all lost that does not decide. */
  function endOf({ uid }: CriPod, isDecisive: (fact: LifecycleFact) => boolean): Standing {
    const facts = listening.facts.filter(({ podUid }) => podUid === uid);
    expectOneState(facts);
    return expectOnePhase(facts, isDecisive);
  }

  test("the life of a pod is told in its order; probes and other runtimes are not", async () => {
    const other = await cri.runPod({ handler: "runc" });
    const pod = await cri.runPod({ labels: LABELS });
    const id = await pod.run({ command: SERVE });
    expect(await pod.exec(id, "/bin/true")).toBe(0);
    expect(await pod.exec(id, "/bin/false")).toBe(1);
    await pod.stop(id, 30);
    await pod.remove();
    await other.remove();
    await listening.told({ podUid: pod.uid, container: null, fact: "delete" });
    const facts = listening.of(pod.uid);
    expect(facts.filter((fact) => fact.startsWith("main"))).toEqual([
      "main create",
      "main start",
      "main exit 3",
      "main delete",
    ]);
    expect(facts.filter((fact) => fact.startsWith("-"))).toEqual([
      "- create",
      "- start",
      "- exit 137",
      "- delete",
    ]);
    expect(facts.indexOf("- start")).toBeLessThan(facts.indexOf("main create"));
    expect(listening.of(other.uid)).toEqual([]);
    const start = await listening.told({ podUid: pod.uid, fact: "start", container: "main" });
    expect(start).toMatchObject({ incarnation: id, podName: "agent-7", labels: LABELS });
    expect(listening.captor.figures.ignored.get("exec")).toBeGreaterThanOrEqual(2);
    const isEnd = (told: LifecycleFact): boolean => told.incarnation === id && told.fact === "exit";
    expect(endOf(pod, isEnd)).toMatchObject({ observed: "failed", reason: "Error", exitCode: 3 });
  });

  test("while the node cannot be listed, what happens on it is told all the same", async () => {
    const { socket } = containerd;
    const deaf = new Containerd({ socket, namespace: "k8s.io", clock: systemClock });
    deaf.tasks = () => Promise.reject(new AgentRuntimeError("UNAVAILABLE", "shims hang"));
    const other = listen(containerd, { containerd: deaf });
    await until(() => other.captor.figures.isJoined, { what: "the bus" });
    const pod = await cri.runPod({ labels: LABELS });
    await pod.run({ command: ["/bin/sh", "-c", "exit 7"] });
    await other.told({ podUid: pod.uid, container: "main", fact: "exit", exitCode: 7 });
    expect(other.captor.figures.joins).toBe(1);
    await other.stop();
    deaf.close();
    await pod.remove();
  });

  test("a paused container is told, also to who comes after that", async () => {
    const pod = await cri.runPod();
    const id = await pod.run({ command: SERVE });
    await containerd.ctr("task", "pause", id);
    await listening.told({ incarnation: id, fact: "paused" });
    const late = listen(containerd);
    await late.told({ incarnation: id, fact: "paused" });
    expect(late.of(pod.uid).toSorted()).toEqual([
      "- create",
      "- start",
      "main create",
      "main paused",
      "main start",
    ]);
    await containerd.ctr("task", "resume", id);
    await Promise.all(
      [listening, late].map((each) => each.told({ incarnation: id, fact: "resumed" })),
    );
    await late.stop();
    await pod.remove();
  });

  test("the crash of a sandbox ends its containers, and itself", async () => {
    const pod = await cri.runPod();
    const id = await pod.run({ command: SERVE });
    await containerd.killShim(pod.sandboxId);
    await listening.told({ incarnation: id, fact: "exit", exitCode: 137 });
    await listening.told({ incarnation: pod.sandboxId, fact: "exit" });
    const isEnd = (told: LifecycleFact): boolean => told.incarnation === id && told.fact === "exit";
    expect(endOf(pod, isEnd)).toMatchObject({ observed: "failed", exitCode: 137, signal: 9 });
    await pod.remove();
  });

  test("a crash loop: each run is told with its own end, and the pod stands as the last one", async () => {
    const pod = await cri.runPod();
    const ids: string[] = [];
    for (const code of [1, 2]) {
      const command = ["/bin/sh", "-c", `exit ${code}`];
      const id = await pod.run({ command, attempt: ids.length });
      await listening.told({ incarnation: id, fact: "exit", exitCode: code });
      ids.push(id);
    }
    const isOfRun = (told: LifecycleFact): boolean => told.incarnation === ids.at(-1);
    expect(endOf(pod, isOfRun)).toMatchObject({
      observed: "failed",
      exitCode: 2,
      incarnation: ids[1],
    });
    const last = await pod.run({ command: SERVE, attempt: ids.length });
    ids.push(last);
    await listening.told({ incarnation: last, fact: "start" });
    expect(endOf(pod, isOfRun)).toMatchObject({ observed: "running", incarnation: last });
    await pod.remove();
  });

  test("out of memory is told beside the end", async (context) => {
    const pod = await cri.runPod();
    const id = await pod.run({
      command: ["/bin/sh", "-c", "x=a; while :; do x=$x$x; done"],
      memoryBytes: 16 * 1024 * 1024,
    });
    const exit = await listening.told({ incarnation: id, fact: "exit" });
    if (exit.exitCode !== 137) context.skip("the kernel keeps no limit of memory here");
    await listening.told({ incarnation: id, fact: "oom" });
    const isOfRun = (told: LifecycleFact): boolean => told.incarnation === id;
    expect(endOf(pod, isOfRun)).toMatchObject({ observed: "failed", reason: "OOMKilled" });
    await pod.remove();
  });

  test("who was away tells all that can still be known", async () => {
    const pods = [await cri.runPod(), await cri.runPod(), await cri.runPod()];
    const [ended, removed, goesOn] = pods;
    const ids = await Promise.all(pods.map((pod) => pod.run({ command: SERVE })));
    for (const id of ids) await listening.told({ incarnation: id, fact: "start" });
    await listening.stop();
    await ended!.stop(ids[0]!, 30);
    await removed!.remove();

    // A captor that knows nothing: the exit code is what the runtime remembers of a process that is gone.
    const next = listen(containerd);
    await next.told({ incarnation: ids[0]!, fact: "exit", exitCode: 3 });
    await next.told({ incarnation: ids[2]!, fact: "start" });
    expect(next.of(removed!.uid)).toEqual([]);
    await next.stop();
    await ended!.remove();
    await goesOn!.remove();
  });

  test("containerd is killed and comes back: what ended meanwhile is told", async () => {
    const pod = await cri.runPod();
    const [stays, ends] = [
      await pod.run({ name: "stays", command: SERVE }),
      await pod.run({ name: "ends", command: ["/bin/sh", "-c", "sleep 1; exit 7"] }),
    ];
    await listening.told({ incarnation: ends, fact: "start" });
    await containerd.kill();
    await until(() => !listening.captor.figures.isJoined, { what: "a bus that is left" });
    await sleep(proofLength({ short: 1_500, full: 30_000 }));
    await containerd.start();
    const exit = await listening.told({ incarnation: ends, fact: "exit" });
    expect([7, 137, 255]).toContain(exit.exitCode);
    expect(listening.captor.figures.joins).toBeGreaterThanOrEqual(2);
    await pod.stop(stays, 30);
    await listening.told({ incarnation: stays, fact: "exit", exitCode: 3 });
    await pod.remove();
    await listening.told({ incarnation: pod.sandboxId, fact: "delete" });
  });

  test("until its mark is back nothing is listed, and what happened meanwhile is told", async () => {
    const bus = heldBus(containerd.socket);
    const late = listen(containerd, { containerd: bus.containerd });
    await until(() => bus.marks > 0, { what: "a mark that is held" });
    const pod = await cri.runPod();
    const id = await pod.run({ command: ["/bin/sh", "-c", "exit 5"] });
    await listening.told({ incarnation: id, fact: "exit", exitCode: 5 });
    expect(late.captor.figures).toMatchObject({ listedAtMs: 0, isJoined: false });
    expect(late.facts).toEqual([]);
    bus.release();
    await late.told({ incarnation: id, fact: "exit", exitCode: 5 });
    await pod.remove();
    await late.told({ incarnation: pod.sandboxId, fact: "delete" });
    // That it ran only the bus told.
    const main = late.of(pod.uid).filter((fact) => fact.startsWith("main"));
    expect(main.toSorted()).toEqual(["main create", "main delete", "main exit 5", "main start"]);
    expect(late.captor.figures).toMatchObject({ joins: 1, isJoined: true });
    await late.stop();
    bus.containerd.close();
  });

  test("a mark that does not come back is a break: the bus is joined anew, and the node listed", async () => {
    const bus = heldBus(containerd.socket);
    bus.release();
    const watching = listen(containerd, { containerd: bus.containerd, relistMs: 50 });
    await until(() => watching.captor.figures.joins > 0, { what: "on the bus" });
    bus.lose();
    await until(() => watching.captor.figures.joins > 1, { what: "on the bus again" });
    const before = bus.marks;
    await until(() => bus.marks > before + 1, { what: "a bus that is asked after each listing" });
    expect(watching.captor.figures.joins).toBe(2);
    await watching.stop();
    bus.containerd.close();
  });

  test("more events than may wait: it leaves the bus, lists anew, and nothing is missing", async () => {
    let open: () => void = () => undefined;
    const isOpen = new Promise<void>((resolve) => (open = resolve));
    const narrow: Listening = listen(containerd, {
      maxQueue: 2,
      sink: {
        publish: async (told) => {
          await isOpen;
          narrow.facts.push(...told);
        },
      },
    });
    await until(() => narrow.captor.figures.isJoined, { what: "on the bus" });
    const pod = await cri.runPod();
    const ids = [
      await pod.run({ name: "one", command: SERVE }),
      await pod.run({ name: "two", command: SERVE }),
    ];
    await until(() => narrow.captor.figures.overflows > 0, { what: "too many events" });
    open();
    for (const id of ids) await narrow.told({ incarnation: id, fact: "start" });
    expect(narrow.captor.figures.joins).toBeGreaterThanOrEqual(2);
    await pod.remove();
    await narrow.told({ incarnation: pod.sandboxId, fact: "delete" });
    const facts = narrow.of(pod.uid).map((fact) => fact.replace(/ \d+$/, ""));
    const all = ["create", "start", "exit", "delete"];
    const expected = ["-", "one", "two"].flatMap((name) => all.map((fact) => `${name} ${fact}`));
    expect(facts.toSorted()).toEqual(expected.toSorted());
    await narrow.stop();
  });

  test("a life that passes while the captor is held up is told all the same", async () => {
    const there = await cri.runPod();
    const told: LifecycleFact[] = [];
    let isHolding = (): void => {};
    const holds = new Promise<void>((resolve) => (isHolding = resolve));
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const publish = async (facts: readonly LifecycleFact[]): Promise<void> => {
      isHolding();
      await held;
      told.push(...facts);
    };
    const late = listen(containerd, { sink: { publish } });
    await holds; // what was there is listed, and nobody takes it
    const pod = await cri.runPod();
    const id = await pod.run({ command: ["/bin/sh", "-c", "exit 5"] });
    await listening.told({ incarnation: id, fact: "exit" });
    await pod.remove();
    await listening.told({ podUid: pod.uid, container: null, fact: "delete" });
    release();
    const isEnd = ({ incarnation, fact }: LifecycleFact): boolean =>
      incarnation === id && fact === "exit";
    await until(() => told.some(isEnd), { what: "the end of what came and went" });
    expect(told.find(isEnd)).toMatchObject({ podUid: pod.uid, exitCode: 5 });
    await late.stop();
    await there.remove();
  });

  test("facts that nobody takes are told again until somebody does, each once", async () => {
    let refusals = 2;
    const stubborn: Listening = listen(containerd, {
      sink: {
        publish: async (told) => {
          if (refusals-- > 0) throw new Error("no room");
          stubborn.facts.push(...told);
        },
      },
    });
    await until(() => stubborn.captor.figures.isJoined, { what: "on the bus" });
    const pod = await cri.runPod();
    await stubborn.told({ podUid: pod.uid, fact: "start" });
    expect(stubborn.captor.figures.refusals).toBe(2);
    expect(stubborn.of(pod.uid)).toEqual(["- create", "- start"]);
    await stubborn.stop();
    await pod.remove();
  });

  test("events as Kata's newer runtime shapes them", async () => {
    const pod = await cri.runPod();
    const id = await pod.run({ command: SERVE });
    await listening.told({ incarnation: id, fact: "start" });
    const exit = { containerId: id, id, exitStatus: 9, exitedAt: wireNow() };
    const { socket } = containerd;
    const probe = { ...exit, id: "a-probe" };
    await inject(socket, "/tasks/exit", ["TaskExit", probe]);
    await inject(socket, "/tasks/exit", ["TaskExit", exit]);
    await inject(socket, "/tasks/exit", ["TaskExit", exit]);
    await inject(socket, "/tasks/exit", ["TaskExit", { ...exit, exitStatus: 137 }]);
    // The end of another one is known by its delete alone: without a time, and without its container's id.
    const never = { seconds: -62_135_596_800, nanos: 0 };
    const bare = { id: pod.sandboxId, exitStatus: 255, exitedAt: never };
    await inject(socket, "/tasks/delete", ["TaskDelete", bare]);
    await listening.told({ incarnation: pod.sandboxId, fact: "exit", exitCode: 255 });
    const sandboxEnd = await listening.told({ incarnation: pod.sandboxId, fact: "exit" });
    expect(Date.parse(sandboxEnd.at)).toBeGreaterThan(Date.now() - 600_000);
    expect(listening.of(pod.uid).filter((fact) => fact.includes("exit"))).toEqual([
      "main exit 9",
      "- exit 255",
    ]);
    expect(listening.captor.figures.disagreements).toBe(1);
    expect(listening.captor.figures.ignored.get("repeated")).toBe(1);
    await pod.remove();
  });

  test("the command shows what is there, to people and to programs", async () => {
    const pod = await cri.runPod({ labels: LABELS });
    const id = await pod.run({ command: SERVE });
    const command = ["captor", "--once", "--print", "--captor-containerd", containerd.socket];
    const forPeople = await run(command);
    expect(forPeople).toMatchObject({ code: 0, stderr: "" });
    expect(forPeople.stdout).toMatch(/ agents\/agent-7 +main +start +[0-9a-f]{12}\n/);
    const { stdout } = await run([...command, "--json", "--captor-node", "here"]);
    const facts = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(facts).toContainEqual(
      expect.objectContaining({ incarnation: id, fact: "create", node: "here", labels: LABELS }),
    );
    const noKata = await run([...command, "--captor-runtimes", "^io\\.containerd\\.runc"]);
    expect(noKata).toMatchObject({ code: 0, stdout: "" });
    const nobody = await run(["captor", "--once", "--print", "--captor-containerd", "/nowhere"]);
    expect(nobody.code).toBe(5);
    expect(nobody.stderr).toMatch(/containerd at \/nowhere does not answer .*Does it run/);
    await pod.remove();
  });
});
