import { Spool } from "../../src/spool/spool.ts";
import { silentLog } from "../../src/service/log.ts";
import type { Bench, Scenario } from "../bench.ts";
import { load } from "../measure/load.ts";
import { spreadOf } from "../measure/statistics.ts";
import { ensureBuilt, startHook } from "../parts/service.ts";

/** Containers of one pod that start or stop at once. */
const CALLERS = 8;
/** Nobody listens there. */
const NOWHERE = "127.0.0.1:9";

const AWAY = {
  service: { args: ["--url", `http://${NOWHERE}`], env: {} },
  broker: {
    args: ["--to", "rocketmq"],
    env: { AGENT_RUNTIME_MESSAGES: "rocketmq", ROCKETMQ_ENDPOINTS: NOWHERE },
  },
} as const;

export const hook: Scenario = {
  name: "hook",
  about:
    "lifecycle hooks while the service or the broker is away; nothing answered is lost to kill -9",
  run: async (bench) => {
    await ensureBuilt();
    const { service, broker } = await bench.takeTurns({
      service: () => answerMs(bench, "service"),
      broker: () => answerMs(bench, "broker"),
    });
    const notes = [
      `${CALLERS} callers that wait for each answer; each fact is on disk before a 200`,
      "after each round kill -9, and every fact that was answered with 200 was found on disk",
      `${unspooled} hooks of all rounds were answered with 202, as the disk took longer than 150 ms`,
    ];
    return [
      {
        name: "hook answered, service away, p99",
        unit: "ms",
        ours: spreadOf(service),
        bar: { atMost: 200 },
        notes,
      },
      {
        name: "hook answered, broker away, p99",
        unit: "ms",
        ours: spreadOf(broker),
        bar: { atMost: 200 },
        notes,
      },
    ];
  },
};

let count = 0;
/** Hooks of all rounds that were answered before their fact was on disk. */
let unspooled = 0;

/** The 99th percentile of one round. */
async function answerMs(bench: Bench, away: keyof typeof AWAY): Promise<number> {
  const folder = bench.workshop.newFolder(`spool-${++count}`);
  const { args, env } = AWAY[away];
  const { program, url } = await startHook(bench, { args: [...args, "--spool", folder], env });
  let answered = 0;
  let late = 0;
  const { p99Ms } = await load({ callers: CALLERS, seconds: bench.seconds }, async (caller) => {
    const response = await fetch(`${url}/v1/hooks/c${caller}/postStart`);
    await response.arrayBuffer();
    // 202: by then the disk had not taken it, and the answer says so.
    if (response.status === 200) answered += 1;
    else if (response.status !== 202) throw new Error(`a hook was answered ${response.status}`);
    else late += 1;
  });
  await program.stop("SIGKILL");
  const spool = await Spool.open({ folder, log: silentLog });
  const { records } = spool.figures;
  await spool.close();
  if (records < answered) throw new Error(`of ${answered} facts ${answered - records} are lost`);
  unspooled += late;
  return p99Ms;
}
