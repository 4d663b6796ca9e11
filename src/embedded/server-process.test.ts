import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { ServerLog } from "./server-log.ts";
import { ServerProcess } from "./server-process.ts";

const READY = "LOG:  database system is ready to accept connections";

function start(
  script: string,
  onReadyAgain: () => void = () => {},
  silenceMs = 300,
): ServerProcess {
  const command = { file: "sh", args: ["-c", script], env: { PATH: "/usr/bin:/bin" } };
  const log = new ServerLog(path.join(os.tmpdir(), "not/made/main.log"));
  return new ServerProcess({ command, log, silenceMs, onReadyAgain });
}

test("a server that falls silent before it is ready is given up, and ended", async () => {
  const server = start("echo starting >&2; exec sleep 60");
  await expect(server.ready).rejects.toThrow("said nothing for 300 ms");
  expect(await server.ended).toBe("it was ended by SIGINT");
});

test("a server that keeps talking may take longer than the silence allows", async () => {
  const talk = "for i in 1 2 3 4 5 6; do echo redo in progress >&2; sleep 0.4; done";
  const server = start(`${talk}; echo '${READY}' >&2; exec sleep 60`, () => {}, 2_000);
  await server.ready;
  await server.stop();
});

test("a server that ends before it is ready says how", async () => {
  await expect(start("exit 3").ready).rejects.toThrow("it ended with code 3");
});

test("a program that is not there is an error, not a crash", async () => {
  const command = { file: "/nowhere/postgres", args: [], env: {} };
  const log = new ServerLog("/nowhere/main.log");
  const server = new ServerProcess({ command, log, silenceMs: 300, onReadyAgain: () => {} });
  await expect(server.ready).rejects.toThrow("could not be started");
  expect(await server.ended).toContain("ENOENT");
});

test("every ready line but the first tells of a new beginning", async () => {
  let heard: (() => void) | undefined;
  const again = new Promise<void>((resolve) => (heard = resolve));
  const server = start(`echo '${READY}' >&2; echo '${READY}' >&2; exec sleep 60`, () => heard!());
  await server.ready;
  await again;
  await server.stop();
});
