import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import type { SandboxObject } from "../../src/reflector/sandbox-facts.ts";
import { FakeTerminal, run } from "../cli/fake-terminal.ts";
import { until } from "../support/until.ts";
import { FaultyApiServer } from "./faulty-api-server.ts";
import { newSandbox } from "./sandbox-objects.ts";
import { inState, newPod, scheduled, second, withMetadata } from "./pods.ts";

let api: FaultyApiServer;
let apiUrl: string;
let service: Service;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "reflector-"));
  api = new FaultyApiServer();
  apiUrl = (await api.start()).origin;
  service = await Service.start();
});

afterEach(async () => {
  await Promise.all([api.stop(), service.stop()]);
  rmSync(folder, { recursive: true });
});

/** Takes facts, as the service does. */
class Service {
  readonly facts: { readonly podName: string; readonly namespace: string }[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      request.on("end", () => {
        const { facts } = JSON.parse(text) as { readonly facts: Service["facts"] };
        this.facts.push(...facts);
        response.writeHead(202, { "content-type": "application/json" });
        response.end(JSON.stringify({ accepted: facts.length }));
      });
    });
  }

  static async start(): Promise<Service> {
    const service = new Service();
    await new Promise<void>((resolve) => service.#server.listen(0, "127.0.0.1", resolve));
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** `agent_runtime reflector` in this process, and where it tells how it goes. */
async function reflect(
  ...args: readonly string[]
): Promise<{ readonly at: string; readonly stop: () => Promise<number> }> {
  const terminal = new FakeTerminal({ cwd: folder });
  const where = ["--server", apiUrl, "--url", service.url, "--listen", "127.0.0.1:0"];
  const spool = ["--spool", path.join(folder, "spool")];
  const ended = runProgram(["reflector", ...where, ...spool, ...args], terminal);
  const at = await until(() => /reflector at (\S+)/.exec(terminal.stdout.text)?.[1]);
  const stop = (): Promise<number> => {
    terminal.interrupt();
    return ended;
  };
  return { at, stop };
}

async function ask(url: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
}

const running = inState(scheduled(newPod("a", "uid-a", 0), 1), {
  running: { startedAt: second(2) },
});

test("it is ready once it has seen all pods, and tells how it goes", async () => {
  for (let fault = 0; fault < 3; fault += 1) api.fail("busy");
  api.put(running);
  const { at, stop } = await reflect();
  expect(await ask(`${at}/readyz`)).toMatchObject({ status: 503 });
  expect(await ask(`${at}/healthz`)).toMatchObject({ status: 200 });
  await until(async () => (await ask(`${at}/readyz`)).status === 200, { what: "ready" });
  await until(() => service.facts.length === 3, { what: "what it told" });
  const { text } = await ask(`${at}/metrics`);
  expect(text).toContain("\nagent_runtime_reflector_pods 1\n");
  expect(text).toContain("\nagent_runtime_reflector_synced 1\n");
  expect(text).toContain("\nagent_runtime_reflector_lists 1\n");
  const healthy = JSON.parse((await ask(`${at}/healthz`)).text) as Record<string, unknown>;
  expect(healthy).toMatchObject({ pods: 1, facts: 3, synced: true });
  expect(await ask(`${at}/elsewhere`)).toMatchObject({ status: 404 });
  expect(await stop()).toBe(0);
});

test("it follows some namespaces, and no others", async () => {
  const inNamespace = (name: string, namespace: string): typeof running =>
    withMetadata(newPod(name, `uid-${name}`, 0), { namespace });
  api.put(inNamespace("a", "agents"));
  api.put(inNamespace("b", "others"));
  const { at, stop } = await reflect("--pod-namespace", "agents,more");
  await until(() => service.facts.length > 0, { what: "what is there" });
  await until(async () => (await ask(`${at}/metrics`)).text.includes("_watches 2\n"));
  api.put(inNamespace("c", "others"));
  api.put(inNamespace("d", "more"));
  await until(() => service.facts.length > 1, { what: "what came" });
  expect(service.facts.map(({ podName }) => podName)).toEqual(["a", "d"]);
  expect((await ask(`${at}/metrics`)).text).toContain("_pods 2\n");
  expect(await stop()).toBe(0);
});

test("it follows Sandbox objects beside pods, unless it is not to", async () => {
  api.serveSandboxes("v1beta1");
  const inNamespace = (name: string, namespace: string): SandboxObject => {
    const sandbox = newSandbox(name, `uid-${name}`, 0);
    return { ...sandbox, metadata: { ...sandbox.metadata, namespace } };
  };
  api.put(inNamespace("box", "agents"), "sandboxes");
  api.put(inNamespace("other", "others"), "sandboxes");
  const { at, stop } = await reflect("--pod-namespace", "agents");
  await until(() => service.facts.length === 2, { what: "what is there" });
  expect(service.facts).toMatchObject([
    { source: "sandbox", podName: "box", fact: "create" },
    { source: "sandbox", podName: "box", fact: "create", desired: "running" },
  ]);
  expect((await ask(`${at}/metrics`)).text).toContain("\nagent_runtime_reflector_sandboxes 1\n");
  expect(await stop()).toBe(0);

  api.asked.length = 0;
  const without = await reflect("--no-sandboxes");
  await until(() => api.watches > 0, { what: "a watch of pods" });
  expect(api.asked.filter((path) => path.includes("agents.x-k8s.io"))).toEqual([]);
  expect(await without.stop()).toBe(0);
});

test("a namespace that can be none, and a kubeconfig that lets in by a program, are refused", async () => {
  const bad = await run(["reflector", "--pod-namespace", "a,B"], { cwd: folder });
  expect(bad).toMatchObject({ code: 2 });
  expect(bad.stderr).toContain("It must be names of namespaces");
  const missing = await run(["reflector", "--kubeconfig", "none"], { cwd: folder });
  expect(missing.code).not.toBe(0);
  expect(missing.stderr).toContain("cannot read none");
});
