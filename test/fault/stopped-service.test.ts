import { once } from "node:events";
import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { startService } from "../support/child.ts";
import { proofLength } from "../support/length.ts";
import { until } from "../support/until.ts";
import { embeddedConnection, scratchDataDir, serverPids } from "./place.ts";
import { happenedOpen, judge, SOUND } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { startLoad } from "./load.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";

const ROUNDS = proofLength({ short: 1, full: 5 });
const WRITERS = 256;
const KEPT_ALIVE = 20;
const JSON_BODY = { "content-type": "application/json" };
/** Nothing here hangs, so that none of it has to end because the time is over. */
const GRACE_MS = 60_000;
const STOP_MS = 40_000;
const PATIENT = { env: { AGENT_RUNTIME_SHUTDOWN_GRACE_MS: String(GRACE_MS) } };
const timeout = 120_000 + ROUNDS * GRACE_MS;

/** Load, signals in the middle of it, a new start; how the service ended and what was found. */
async function stopUnderLoad(signals: readonly NodeJS.Signals[]) {
  const dataDir = await scratchDataDir();
  const args = ["--data-dir", dataDir];
  const ledger = new Ledger();
  const ends: unknown[] = [];
  const inDoubt: unknown[] = [];
  const lastWords: string[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const service = await startService(args, PATIENT);
    const face = HttpStateClient.open({ url: service.url });
    const load = startLoad({ ledger, faces: [face], writers: WRITERS, name: `stop-${round}` });
    const others = startKeptAlive(service.url);
    // More than there are connections: none is being opened now, which a port that closes would reset.
    await Promise.all([ledger.more(4 * WRITERS), others.begun]);
    const from = performance.now();
    const ended = service.child.ended();
    for (const signal of signals) {
      const refused = ledger.more(1, "failed");
      void service.child.kill(signal);
      await Promise.race([refused, ended]); // it has heard it: two at once would be taken as one
    }
    const [end] = await Promise.all([ended, load.stop()]);
    await face.close();
    inDoubt.push(
      ...ledger.unsettled.filter(({ fate }) => fate === "open").map(({ failure }) => failure),
    );
    lastWords.push(...(await others.lastWords));
    ends.push({ ...end, inTime: performance.now() - from < STOP_MS, left: serverPids(dataDir) });
  }
  const last = await startService(args);
  const connection = embeddedConnection(dataDir);
  const verdict = await judge(connection, ledger);
  const unanswered = await happenedOpen(connection, ledger);
  const again = HttpStateClient.open({ url: last.url });
  await ledger.retryUnsettled(again);
  await again.close();
  const settled = await judge(connection, ledger);
  await last.child.kill("SIGTERM");
  return { ends, inDoubt, lastWords, verdict, unanswered, settled, unsettled: ledger.unsettled };
}

/** Clients of Node's own, each writing without a rest on one connection until it ends; what each was told last. */
function startKeptAlive(url: string): {
  readonly begun: Promise<unknown>;
  readonly lastWords: Promise<string[]>;
} {
  const clients = Array.from({ length: KEPT_ALIVE }, (_, at) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const write = async (): Promise<IncomingMessage> => {
      const sent = request(`${url}/v1/states/kept-${at}`, {
        agent,
        method: "PUT",
        headers: JSON_BODY,
      });
      sent.end('{"type":"kept","data":1}');
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      await text(answer);
      return answer;
    };
    const writeOn = async (): Promise<string> => {
      let answer = await write();
      while (answer.headers.connection !== "close") answer = await write();
      return `${answer.statusCode}, close`;
    };
    const begun = write();
    return { begun, lastWord: begun.then(writeOn).catch(String) };
  });
  return {
    begun: Promise.all(clients.map(({ begun }) => begun)),
    lastWords: Promise.all(clients.map(({ lastWord }) => lastWord)),
  };
}

test(
  "SIGTERM under load: every write is answered or was never sent, and the end is in order",
  { timeout },
  async () => {
    const found = await stopUnderLoad(["SIGTERM"]);
    const inOrder = { code: 0, signal: null, inTime: true, left: [] };
    expect(found.ends).toEqual(Array.from({ length: ROUNDS }, () => inOrder));
    expect(found.verdict).toEqual(SOUND);
    expect(found.unanswered).toEqual([]);
    expect(found.inDoubt).toEqual([]);
    expect(found.lastWords).toEqual(Array.from(found.lastWords, () => "200, close"));
    expect(found.unsettled).toEqual([]);
    expect(found.settled).toEqual(SOUND);
  },
);

test(
  "SIGTERM twice under load: it ends at once, and nothing acknowledged is lost",
  { timeout },
  async () => {
    const found = await stopUnderLoad(["SIGTERM", "SIGTERM"]);
    for (const end of found.ends) expect(end).toMatchObject({ signal: null, inTime: true });
    expect(found.verdict).toEqual(SOUND);
    expect(found.unsettled).toEqual([]);
    expect(found.settled).toEqual(SOUND);
  },
);

test.skipIf(missingPostgres() !== undefined)(
  "SIGTERM while main stands still: it is not ready, and ends when its time is over and not when the statements' is",
  { timeout },
  async () => {
    const postgres = await PrivatePostgres.open();
    onTestFinished(() => postgres.close());
    const env = { SUPABASE_DB_URL: postgres.url, AGENT_RUNTIME_SHUTDOWN_GRACE_MS: "500" };
    const { child, url } = await startService(["--roles", "main"], { env });
    const body = JSON.stringify({ type: "note", data: 1 });
    const headers = { "content-type": "application/json" };
    const write = (): Promise<Response> =>
      fetch(`${url}/v1/states/a`, { method: "PUT", headers, body });
    await write(); // on a new connection main would be missed sooner
    postgres.freeze();
    const cut = write().catch(() => "cut");
    await until(async () => /lanes_busy 1/.test(await (await fetch(`${url}/metrics`)).text()));
    let from = performance.now();
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect(performance.now() - from).toBeLessThan(15_000); // a statement may take 30 s
    from = performance.now();
    expect(await child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - from).toBeLessThan(15_000);
    expect(await cut).toBe("cut");
    expect(child.stderr).toContain("did not stop in time");
  },
);
