import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { packageRoot } from "../../src/service/package-root.ts";
import { DEPLOY } from "./objects.ts";

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: readonly string[] | Readonly<Record<string, { condition: string }>>;
  readonly volumes?: readonly string[];
  readonly healthcheck?: object;
}

const containerfile = readFileSync(join(DEPLOY, "Containerfile"), "utf8");
const compose = parse(readFileSync(join(DEPLOY, "compose.yaml"), "utf8"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: object;
};
const isProgram = ({ image }: Service): boolean => image === "agent-runtime-state:local";

test("the image is built from files that are there and that its context has", () => {
  const ignore = readFileSync(join(packageRoot(), ".dockerignore"), "utf8").split("\n");
  const copies = [...containerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
  const sources = copies.flatMap(([, list]) => list!.split(" "));
  expect(sources.length).toBeGreaterThan(5);
  for (const source of sources) {
    expect(existsSync(join(packageRoot(), source)), source).toBe(true);
    expect(ignore).toContain(`!${source}`);
  }
});

test("the image holds all that the package does, and is nobody's who may do anything", () => {
  const { files } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    readonly files: readonly string[];
  };
  const [, taken] = /cp -a (.+) \/rootfs\//.exec(containerfile)!;
  expect(taken!.split(" ")).toEqual(expect.arrayContaining([...files]));
  const [, last] = containerfile.split(/^FROM .*(?=\n)/m).slice(-2);
  expect(last).toMatch(/^USER 65532:65532$/m);
  expect(last).not.toMatch(/apt-get|npm (ci|install)/);
});

test("compose gives the programs settings that they take", () => {
  const programs = Object.values(compose.services).filter(isProgram);
  expect(programs).toHaveLength(3);
  for (const { environment } of programs) {
    // As compose does: the value of a variable that is not set is what stands behind `:-`.
    const env = Object.fromEntries(
      Object.entries(environment!).map(([name, value]) => [
        name,
        value.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1"),
      ]),
    );
    const { supabase, rocketmq, dragonfly, listen } = loadConfig({ env, cwd: DEPLOY });
    const hosts = [
      ...[supabase.main, supabase.rollback, dragonfly.url].map((url) => new URL(url).hostname),
      ...[rocketmq.endpoints[0], rocketmq.nameservers[0]].map((address) => address!.split(":")[0]),
    ];
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(hosts));
    expect(listen).toEqual({ host: "0.0.0.0", port: 8080 });
  }
});

test("in compose whoever waits waits for somebody who can be waited for", () => {
  const { services, volumes } = compose;
  for (const [name, { depends_on: given = [], volumes: mounts = [] }] of Object.entries(services)) {
    const conditions = Array.isArray(given)
      ? Object.fromEntries(given.map((each: string) => [each, { condition: "service_started" }]))
      : (given as Readonly<Record<string, { condition: string }>>);
    for (const [other, { condition }] of Object.entries(conditions)) {
      expect(services, name).toHaveProperty(other);
      if (condition === "service_healthy") expect(services[other]).toHaveProperty("healthcheck");
    }
    for (const mount of mounts) expect(volumes).toHaveProperty(mount.split(":")[0]!);
  }
});

test("the example of an agent in a pod is a program", () => {
  const file = join(packageRoot(), "examples", "pod-agent.mjs");
  execFileSync(process.execPath, ["--check", file], { stdio: "pipe" });
  const [, client] = /from "(\.\.\/dist\/[^"]+)"/.exec(readFileSync(file, "utf8"))!;
  const source = client!.replace("../dist/", "src/").replace(/\.js$/, ".ts");
  expect(existsSync(join(packageRoot(), source))).toBe(true);
});
