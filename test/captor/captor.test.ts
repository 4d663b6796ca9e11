import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OwnContainerd } from "../../dev/services/containerd.ts";
import { containerdHere } from "../support/containerd.ts";
import { Cri } from "../support/cri.ts";
import { until } from "../support/until.ts";
import { listen } from "./node.ts";
import type { Listening } from "./node.ts";

const LABELS = { "agentruntime.dev/agent": "alice" };
/** Ends well when it is told to. */
const SERVE = ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"];

const here = await containerdHere();
const isMissing = "missing" in here;

describe.skipIf(isMissing)(`captor${isMissing ? `: missing ${here.missing}` : ""}`, () => {
  const containerd = here as OwnContainerd;
  let cri: Cri;
  let listening: Listening;

  beforeAll(() => {
    cri = new Cri(containerd);
  });
  afterAll(async () => {
    cri.close();
    await containerd.stop();
  });
  beforeEach(async () => {
    listening = listen(containerd);
    await until(() => listening.captor.figures.listedAtMs > 0, { what: "a first listing" });
  });
  afterEach(() => listening.stop());

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
  });
});
