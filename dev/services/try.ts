import { startRocketmq } from "./rocketmq.ts";
import { findParts } from "./tools.ts";
const { rocketmq } = findParts();
if (rocketmq.missing !== undefined) throw new Error(rocketmq.missing);
const t = performance.now();
const r = await startRocketmq({ tools: rocketmq });
console.log(r.address, Math.round(performance.now() - t));
process.stdin.resume();
process.on("SIGTERM", () => void r.stop().then(() => process.exit()));
