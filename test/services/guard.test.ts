import { spawn, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Guard } from "../../dev/services/guard.ts";
import { scratchFolder } from "./scratch.ts";

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function startSleep(): ChildProcess {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  children.push(child);
  return child;
}

test("a released guard ends its processes, those that stand still too, and removes the folder", async () => {
  const folder = join(scratchFolder(), "a b");
  mkdirSync(folder);
  const guard = new Guard(folder);
  const sleeps = [startSleep(), startSleep()];
  for (const sleep of sleeps) guard.watch(sleep);
  sleeps[0]!.kill("SIGSTOP");
  const ends = sleeps.map((sleep) => once(sleep, "exit"));
  await guard.release();
  await Promise.all(ends);
  expect(existsSync(folder)).toBe(false);
  await guard.release(); // safe twice
});

test("a process that has ended is forgotten, as another may have its number by then", async () => {
  const guard = new Guard();
  const [first, other, last] = [startSleep(), startSleep(), startSleep()];
  const ended = Object.assign(new EventEmitter(), { pid: other.pid }) as ChildProcess;
  for (const child of [first, ended, last]) guard.watch(child);
  ended.emit("exit", 0);
  const ends = [first, last].map((sleep) => once(sleep, "exit"));
  await guard.release();
  await Promise.all(ends);
  expect([other.exitCode, other.signalCode]).toEqual([null, null]);
});

test("a guard of programs that take SIGQUIT for a question ends them by SIGKILL", async () => {
  const guard = new Guard("", "KILL");
  const child = spawn("sh", ["-c", "trap '' QUIT; echo ready; while :; do sleep 1; done"], {
    detached: true,
  });
  children.push(child);
  await once(child.stdout, "data");
  guard.watch(child);
  const ended = once(child, "exit");
  await guard.release();
  expect(await ended).toEqual([null, "SIGKILL"]);
});
