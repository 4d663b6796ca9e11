import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Where the files are that take longest, the longest first: one that begins last has no company at the end. */
const LONG = [
  "test/contract/state-face",
  "test/bench/",
  "test/embedded/",
  "test/fault/",
  "test/travel/",
  "test/contract/",
  "test/rocketmq/",
  "test/model/",
  "test/tasks/",
  "test/cli/",
  "test/",
];

/** Runs what takes long before what does not. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is no array's
    const asUsual = await super.sort(files);
    return asUsual.toSorted((left, right) => rankOf(left) - rankOf(right));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONG.findIndex((part) => moduleId.includes(`/${part}`));
  return rank === -1 ? LONG.length : rank;
}
