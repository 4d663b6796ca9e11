import { beforeAll, expect, onTestFinished, test } from "vitest";
import { KubernetesClient } from "../../src/kubernetes/client.ts";
import { standingOfSandbox } from "../../src/lifecycle/sandbox.ts";
import { knownSandboxes } from "../../src/reflector/known.ts";
import type { SandboxObject } from "../../src/reflector/sandbox-facts.ts";
import { Sandboxes } from "../../src/reflector/sandboxes.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { Book } from "../kubernetes/book.ts";
import { Proxy } from "../support/proxy.ts";
import { until } from "../support/until.ts";
import type { ClusterApi } from "./cluster-api.ts";
import { describeOnCluster } from "./on-cluster.ts";
import { makeReflectorAccount } from "./role.ts";
import { defineSandboxes, undefineSandboxes } from "./sandbox-kind.ts";

const SANDBOXES = "/apis/agents.x-k8s.io/v1beta1/namespaces/agents/sandboxes";

await describeOnCluster("Sandbox objects", (cluster) => {
  let api: ClusterApi;
  let token: string;
  let count = 0;

  beforeAll(async () => {
    api = await cluster.api();
    token = (await makeReflectorAccount(api)).token;
  });

  const follow = async (server = cluster.server): Promise<{ book: Book; sandboxes: Sandboxes }> => {
    const authority = await cluster.authority();
    const book = new Book();
    const over = new AbortController();
    const sandboxes = new Sandboxes({
      client: new KubernetesClient({ server, authority, token: () => Promise.resolve(token) }),
      sink: book,
      known: (...how) => knownSandboxes(book, ...how),
      namespaces: [null],
      selector: "",
      all: false,
      clock: systemClock,
      log: silentLog,
      page: 2,
      lookMs: 100,
      watchSeconds: 4,
      backoff: { firstMs: 20, maxMs: 500 },
    });
    const running = sandboxes.run(over.signal);
    onTestFinished(async () => {
      over.abort();
      await running;
    });
    return { book, sandboxes };
  };

  const create = (name = `box-${(count += 1)}`): Promise<SandboxObject> =>
    api.ask("POST", SANDBOXES, {
      apiVersion: "agents.x-k8s.io/v1beta1",
      kind: "Sandbox",
      metadata: { name },
      spec: {
        operatingMode: "Running",
        podTemplate: {
          metadata: { labels: { "agentruntime.dev/agent": name } },
          spec: { containers: [{ name: "main", image: "agent" }] },
        },
      },
    });

  const change = ({ metadata }: SandboxObject, spec: object): Promise<unknown> =>
    api.ask("PATCH", `${SANDBOXES}/${metadata.name}`, { spec });

  /** As its controller says it. */
  const say = (
    { metadata }: SandboxObject,
    conditions: Readonly<Record<string, readonly [string, string]>>,
  ): Promise<unknown> => {
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, "");
    const said = Object.entries(conditions).map(([type, [status, reason]]) => {
      return { type, status, reason, message: "", lastTransitionTime };
    });
    return api.ask("PATCH", `${SANDBOXES}/${metadata.name}/status`, {
      status: { conditions: said },
    });
  };

  const remove = ({ metadata }: SandboxObject): Promise<unknown> =>
    api.ask("DELETE", `${SANDBOXES}/${metadata.name}`);

  const untilIs = (book: Book, { metadata }: SandboxObject, standing: string): Promise<unknown> => {
    const now = (): string => {
      const sandbox = book.sandboxes.get(metadata.uid);
      if (sandbox === undefined) return "unknown";
      const { observed, desired } = standingOfSandbox(sandbox);
      return `${observed}, wanted ${desired}`;
    };
    return until(() => now() === standing, { what: `${metadata.name} ${standing}` }).catch(
      (cause: unknown) => {
        throw new Error(`${metadata.name} is ${now()}, not ${standing}`, { cause });
      },
    );
  };

  test("they are told from the moment on when their kind is there, until it is not", async () => {
    const { book, sandboxes } = await follow();
    expect(sandboxes.figures.lists).toBe(0);
    await defineSandboxes(api);
    const box = await create();
    await untilIs(book, box, "requested, wanted running");
    await say(box, { Ready: ["False", "DependenciesNotReady"] });
    await untilIs(book, box, "creating, wanted running");
    await say(box, { Ready: ["True", "DependenciesReady"] });
    await untilIs(book, box, "running, wanted running");
    await change(box, { operatingMode: "Suspended" });
    await untilIs(book, box, "running, wanted paused");
    await say(box, {
      Ready: ["False", "SandboxSuspended"],
      Suspended: ["True", "PodTerminated"],
    });
    await untilIs(book, box, "paused, wanted paused");
    await undefineSandboxes(api);
    await untilIs(book, box, "deleted, wanted deleted");
    await until(() => sandboxes.figures.pods === 0, { what: "none" });

    await defineSandboxes(api);
    const again = await create(box.metadata.name);
    await untilIs(book, again, "requested, wanted running");
    expect(again.metadata.uid).not.toBe(box.metadata.uid);
    await remove(again);
    await untilIs(book, again, "deleted, wanted deleted");
  });

  test("one that its owner holds back is stopping until it goes; another may take its name", async () => {
    const { book } = await follow();
    const held = await create();
    const path = `${SANDBOXES}/${held.metadata.name}`;
    await api.ask("PATCH", path, { metadata: { finalizers: ["test/owner"] } });
    await untilIs(book, held, "requested, wanted running");
    await remove(held);
    await untilIs(book, held, "stopping, wanted deleted");
    await api.ask("PATCH", path, { metadata: { finalizers: [] } });
    const next = await create(held.metadata.name);
    await untilIs(book, held, "deleted, wanted deleted");
    await untilIs(book, next, "requested, wanted running");
  });

  test("lists come in pages, and bookmarks carry it on where none of them changes", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => create()));
    const { book, sandboxes } = await follow();
    for (const box of all) await untilIs(book, box, "requested, wanted running");
    const told = book.facts.length;
    await until(() => sandboxes.figures.watches > 2, { what: "a third watch" });
    expect(sandboxes.figures).toMatchObject({ lists: 1, failures: 0 });
    expect(book.facts).toHaveLength(told);
  });

  test("after a 410 they are listed again, and known by their uid", async () => {
    const { hostname, port } = cluster.server;
    const proxy = await Proxy.open({ host: hostname, port: Number(port) });
    onTestFinished(() => proxy.close());
    const { book, sandboxes } = await follow(new URL(`https://127.0.0.1:${proxy.port}`));
    const [stays, goes, replaced] = [await create(), await create(), await create()];
    for (const box of [stays, goes, replaced])
      await untilIs(book, box, "requested, wanted running");
    const { lists } = sandboxes.figures;
    // It cannot see what happens now, and the API server forgets it: its memory begins where it starts.
    proxy.refuse();
    proxy.cut();
    await change(stays, { operatingMode: "Suspended" });
    for (const box of [goes, replaced]) await remove(box);
    const again = await create(replaced.metadata.name);
    await cluster.killServer();
    await cluster.startServer();
    await create();
    proxy.accept();
    for (const box of [goes, replaced]) await untilIs(book, box, "deleted, wanted deleted");
    await untilIs(book, again, "requested, wanted running");
    await untilIs(book, stays, "requested, wanted paused");
    expect(sandboxes.figures.lists).toBe(lists + 1);
  });
});
