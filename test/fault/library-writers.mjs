// Writers on the library in a process of their own, to be killed with it.
//
//   node library-writers.mjs MODULE SETTINGS NAME WRITERS
//
// Says each acknowledgement the moment it has it, in a line: WRITER COUNT STEP ID=VERSION ...
import { writeSync } from "node:fs";
import { changesetOf } from "./changesets.mjs";

const [module, settings, name, writers] = process.argv.slice(2);
const { StateManager } = await import(module);
const manager = await StateManager.open(JSON.parse(settings));

for (let writer = 0; writer < Number(writers); writer += 1) void write(writer);

async function write(writer) {
  for (let count = 0; ; count += 1) {
    const { step, changes } = await manager.commit(changesetOf({ name }, writer, count));
    const versions = changes.map((change) => `${change.id}=${change.version}`);
    writeSync(1, `${writer} ${count} ${step} ${versions.join(" ")}\n`);
  }
}
