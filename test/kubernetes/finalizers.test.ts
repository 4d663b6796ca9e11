import { expect, onTestFinished, test } from "vitest";
import { KubernetesError } from "../../src/kubernetes/client.ts";
import { Finalizers } from "../../src/reflector/finalizers.ts";
import { FINALIZER } from "../../src/reflector/pod-object.ts";
import type { PodObject } from "../../src/reflector/pod-object.ts";
import { silentLog } from "../../src/service/log.ts";
import { until } from "../support/until.ts";
import { newPod, second, withMetadata } from "./pods.ts";

/** What is asked of an API server and of the service, and what they answer. */
class World {
  readonly patches: (readonly string[])[] = [];
  asked = 0;
  isCommitted = false;
  refusal: KubernetesError | null = null;

  readonly finalizers = new Finalizers({
    client: {
      patch: (_path, body) => {
        const { metadata } = body as { readonly metadata: { readonly finalizers: string[] } };
        this.patches.push(metadata.finalizers);
        return this.refusal === null ? Promise.resolve({}) : Promise.reject(this.refusal);
      },
    },
    isCommitted: () => {
      this.asked += 1;
      return Promise.resolve(this.isCommitted);
    },
    log: silentLog,
    pauseMs: 1,
  });

  constructor() {
    this.finalizers.start();
    onTestFinished(() => this.finalizers.stop());
  }
}

const NEW = newPod("a", "uid-a", 0);
const OVER: PodObject = withMetadata(NEW, {
  finalizers: ["test/other", FINALIZER],
  deletionTimestamp: second(9),
  deletionGracePeriodSeconds: 0,
});

test("a pod that is over keeps it until its end is committed, and then loses ours alone", async () => {
  const world = new World();
  world.finalizers.see(OVER);
  await until(() => world.asked >= 3, { what: "three questions" });
  expect(world.patches).toEqual([]);
  world.isCommitted = true;
  await until(() => world.finalizers.due === 0, { what: "nothing to do" });
  expect(world.patches).toEqual([["test/other"]]);
});

test("one that still runs keeps it, whatever is committed", async () => {
  const world = new World();
  world.isCommitted = true;
  world.finalizers.see(withMetadata(OVER, { deletionGracePeriodSeconds: 30 }));
  expect(world.finalizers.due).toBe(0);
  world.finalizers.see(NEW);
  await until(() => world.finalizers.due === 0, { what: "nothing to do" });
  expect(world).toMatchObject({ patches: [[FINALIZER]], asked: 0 });
});

test("what has changed since is left to its next form", async () => {
  const world = new World();
  world.refusal = new KubernetesError(409, "the object has been modified");
  world.finalizers.see(NEW);
  await until(() => world.finalizers.due === 0, { what: "nothing to do" });
  expect(world.patches).toHaveLength(1);
});
