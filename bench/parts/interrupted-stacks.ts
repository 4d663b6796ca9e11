import type { TaskHandler } from "../../src/processor/lifo-task-processor.ts";
import type { Library } from "./library.ts";

/** So many handlers at a time, and steps until each ends. */
const CONCURRENCY = 512;

interface Level {
  readonly level: number;
}

/**
 * Interrupts the first task of each stack so many levels deep: each pushes the next and gives way to it at its step. Then all of
 * them end. Throws where those of a stack ended in another order than from the newest to the first, or one did not end.
 */
export async function unwindStacks(
  library: Library,
  { stacks, depth, prefix }: { stacks: number; depth: number; prefix: string },
): Promise<void> {
  const names = Array.from({ length: stacks }, (_, n) => `${prefix}-${n}`);
  const left = new Map(names.map((name) => [name, depth]));
  let over = (): void => undefined;
  let fail = (_error: Error): void => undefined;
  const all = new Promise<void>((resolve, reject) => ([over, fail] = [resolve, reject]));
  const handler: TaskHandler = async ({ stack, input }, run) => {
    const { level } = input as unknown as Level;
    if (run.resumePoint === undefined && level < depth) {
      await run.push("next", { input: { level: level + 1 } });
      await run.checkpoint(level); // never comes back: what was pushed is above it
    }
    const due = left.get(stack);
    if (due !== level) fail(new Error(`${stack}: level ${level} ended before level ${due}`));
    left.set(stack, level - 1);
    if (level === 1) left.delete(stack);
    if (left.size === 0) over();
  };
  await Promise.all(names.map((name) => library.tasks.push(name, { input: { level: 1 } })));
  const processor = library.startLifoTaskProcessor(handler, { concurrency: CONCURRENCY });
  try {
    await all;
  } finally {
    await processor.stop();
  }
}
