import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../service/clock.ts";
import type { TaskFace } from "../state/task-face.ts";
import { LeaseLoop } from "./lease-loop.ts";
import type { Beat } from "./lease-loop.ts";
import { STUCK_AFTER_MS } from "./lease-messages.ts";
import type { LeaseNews, LeaseOrder } from "./lease-messages.ts";
import type { LeaseThreadData } from "./lease-thread.ts";

/**
 * In a thread: renews the leases that the process orders, as long as its event loop shows that it turns.
 *
 * @param open makes the way to the database from the `data` of the thread's place.
 */
export function serveLeases(open: (data: unknown) => Pick<TaskFace, "heartbeat">): void {
  const port = parentPort;
  if (port === null) throw new Error("this is made to run in a thread of a task processor");
  const { data, worker, namespace } = workerData as LeaseThreadData;
  const tasks = open(data);
  const where = namespace === undefined ? {} : { namespace };
  const tell = (news: LeaseNews): void => port.postMessage(news);
  let aliveAt = systemClock.monotonicMs();
  const beat: Beat = async (incarnation, timeoutMs) => {
    if (systemClock.monotonicMs() - aliveAt > STUCK_AFTER_MS) {
      throw new Error("the event loop of the process stands still");
    }
    return await tasks.heartbeat(worker, { ...where, incarnation, timeoutMs });
  };
  const leases = new LeaseLoop(beat, {
    onBeat: (incarnation, told) => tell({ news: "beat", incarnation, beat: told }),
    onLost: (incarnation) => tell({ news: "lost", incarnation }),
  });
  port.on("message", (told: LeaseOrder) => {
    aliveAt = systemClock.monotonicMs();
    if (told.order === "keep") leases.keep(told.incarnation);
    if (told.order === "drop") leases.drop(told.incarnation);
  });
  tell({ news: "up" });
}
