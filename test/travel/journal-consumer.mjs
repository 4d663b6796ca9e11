// A consumer of changes in a process of its own, to be killed with it: what it is handed it writes
// into a file, on disk before the change counts as done.
//
//   node journal-consumer.mjs MODULE SETTINGS OPTIONS
//
// OPTIONS: {"file", "group", "invisibleMs"}. Says now and then, in a line, how many duplicates the library dropped.
import {
  closeSync,
  existsSync,
  fdatasync,
  openSync,
  readFileSync,
  truncateSync,
  write,
} from "node:fs";
import { promisify } from "node:util";

const [module, settings, options] = process.argv.slice(2);
const { StateConsumer } = await import(module);
const { file, group, invisibleMs } = JSON.parse(options);
const [append, toDisk] = [promisify(write), promisify(fdatasync)];
const SAY_EVERY_MS = 200;

/** Lines on disk: what comes while one batch is written goes with the next. */
class Journal {
  #waiting = [];
  #isWriting = false;

  constructor(path) {
    // A process that was killed may have left half a line, of a change that comes again.
    if (existsSync(path)) truncateSync(path, readFileSync(path).lastIndexOf("\n") + 1);
    this.descriptor = openSync(path, "a");
  }

  /** Resolves when the line is on disk. */
  add(line) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      if (!this.#isWriting) void this.#write();
    });
  }

  async #write() {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        await append(this.descriptor, batch.map(({ line }) => `${line}\n`).join(""));
        await toDisk(this.descriptor);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWriting = false;
  }
}

const journal = new Journal(file);
const consumer = StateConsumer.open(JSON.parse(settings), {
  group,
  invisibleMs,
  onChange: async ({ scope, step, id, version, kind, digest, data }, { missed }) => {
    const numbers = { step: String(step), version: String(version) };
    const isMissing = missed !== null;
    await journal.add(JSON.stringify({ scope, ...numbers, id, kind, digest, data, isMissing }));
  },
});

const say = () => console.log(`dropped ${consumer.figures.dropped}`);
const saying = setInterval(say, SAY_EVERY_MS);
process.once("SIGTERM", () => void end());

async function end() {
  clearInterval(saying);
  await consumer.close();
  closeSync(journal.descriptor);
  say();
}
