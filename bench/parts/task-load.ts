import type { TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import type { Library } from "./library.ts";

const PUSHERS = 512;

/** Pushes so many tasks, dealt out to so many stacks. */
export async function pushTasks(
  library: Library,
  { count, stacks, prefix }: { count: number; stacks: number; prefix: string },
): Promise<void> {
  let next = 0;
  const push = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      await library.tasks.push(`${prefix}-${n % stacks}`, { input: { n } });
    }
  };
  await Promise.all(Array.from({ length: PUSHERS }, push));
}

/** Tasks a second that one processor claims and completes, until there is none; throws where one was done twice. */
export async function drainRate(
  library: Library,
  { count, concurrency }: { readonly count: number; readonly concurrency: number },
): Promise<number> {
  let done = 0;
  let end = (): void => undefined;
  const all = new Promise<void>((resolve) => (end = resolve));
  const handler: TaskHandler = () => {
    if (++done === count) end();
  };
  const from = performance.now();
  const processor = library.startLifoTaskProcessor(handler, { concurrency });
  await all;
  await processor.stop();
  const seconds = (performance.now() - from) / 1_000;
  if (done !== count) throw new Error(`${done} runs of ${count} tasks`);
  return count / seconds;
}
