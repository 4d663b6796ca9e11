import type { Scenario } from "./bench.ts";
import { captor } from "./scenarios/captor.ts";
import { cache } from "./scenarios/cache.ts";
import { embedded } from "./scenarios/embedded.ts";
import { fsck } from "./scenarios/fsck.ts";
import { follower } from "./scenarios/follower.ts";
import { growth } from "./scenarios/growth.ts";
import { heartbeats } from "./scenarios/heartbeats.ts";
import { hook } from "./scenarios/hook.ts";
import { hot } from "./scenarios/hot.ts";
import { http } from "./scenarios/http.ts";
import { memory } from "./scenarios/memory.ts";
import { others } from "./scenarios/others.ts";
import { peers } from "./scenarios/peers.ts";
import { recorded } from "./scenarios/recorded.ts";
import { replica } from "./scenarios/replica.ts";
import { rocketmq } from "./scenarios/rocketmq.ts";
import { rollback } from "./scenarios/rollback.ts";
import { scale } from "./scenarios/scale.ts";
import { sharedCache } from "./scenarios/shared-cache.ts";
import { single } from "./scenarios/single.ts";
import { start } from "./scenarios/start.ts";
import { taskScale } from "./scenarios/task-scale.ts";
import { tasks } from "./scenarios/tasks.ts";
import { turns } from "./scenarios/turns.ts";
import { unwind } from "./scenarios/unwind.ts";
import { updates } from "./scenarios/updates.ts";

/** All there is to measure, in the order of the table. */
export const SCENARIOS: readonly Scenario[] = [
  updates,
  hot,
  single,
  cache,
  sharedCache,
  http,
  embedded,
  memory,
  scale,
  start,
  recorded,
  turns,
  growth,
  others,
  replica,
  fsck,
  follower,
  rollback,
  rocketmq,
  hook,
  tasks,
  taskScale,
  heartbeats,
  unwind,
  captor,
  peers,
];
