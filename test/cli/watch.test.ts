import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/service/package-root.ts";
import { Child, startProgram } from "../support/child.ts";
import { useService } from "./service.ts";

const service = useService();

async function note(id: string, data: unknown, ...more: string[]): Promise<void> {
  const set = ["set", id, "--type", "note", "--data", JSON.stringify(data)];
  await service.output([...set, ...more]);
}

test("each change comes as it happens, until ctrl-C, which is no failure", async () => {
  await note("live", 0);
  const args = ["state", "watch", "--id", "live", "--after", "0", "--url", service.url];
  const watch = await startProgram(args);
  await watch.says(/live {2}v1 {2}step 1/);
  await note("live", 1, "--actor", "me", "--cause", "to see it");
  await watch.says(/update +live {2}v2 {2}step 2 {2}me: to see it\n/);
  expect(await watch.kill("SIGINT")).toEqual({ code: 0, signal: null });
  expect(watch.stderr).toBe("");
});

test("a watch goes on after the change that it is given, and ends after as many as it may", async () => {
  for (const n of [1, 2, 3]) await note("w", n);
  const watch = ["watch", "--id", "w", "--json", "--limit", "2", "--after"];
  const read = async (after: string): Promise<Record<string, string>[]> =>
    (await service.output([...watch, after]))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
  const [first, second] = await read("0");
  expect(second).toMatchObject({ id: "w", version: "2", data: 2 });
  expect(await read(first!["cursor"]!)).toMatchObject([{ version: "2" }, { version: "3" }]);
});

test("documents are left out where nobody wants them", async () => {
  await note("big", { text: "x".repeat(1_000) });
  const watch = ["watch", "--id", "big", "--after", "0", "--limit", "1"];
  expect(await service.output([...watch, "--json", "--no-data"])).not.toContain("xxx");
  expect(await service.output(watch)).not.toContain("xxx");
});

test("a cursor that the service did not give is refused", async () => {
  expect(await service.run(["watch", "--after", "nonsense"])).toMatchObject({ code: 1 });
});

test("a reader that has enough ends the command quietly", async () => {
  for (let n = 0; n < 200; n++) await note("pipe", { n, text: "x".repeat(2_000) });
  const main = join(packageRoot(), "dist", "cli", "main.js");
  const watch = `${process.execPath} ${main} state watch --after 0 --json --url ${service.url}`;
  const shell = new Child("bash", ["-c", `${watch} | head -n 3 | wc -l; echo "\${PIPESTATUS[0]}"`]);
  await shell.ended();
  expect({ stdout: shell.stdout, stderr: shell.stderr }).toEqual({ stdout: "3\n0\n", stderr: "" });
});
