import { afterAll, describe, test } from "vitest";
import { startContainerd } from "../../dev/services/containerd.ts";
import type { OwnContainerd } from "../../dev/services/containerd.ts";
import { findParts } from "../../dev/services/tools.ts";

/**
 * A containerd of one's own, or why there can be none here. What is missing a root of the CI has to install; whether
 * the kernel lets containers be run is the machine's.
 */
async function containerdHere(): Promise<OwnContainerd | { readonly missing: string }> {
  const { containerd: tools } = findParts();
  const isDemanded = process.env["CI"] === "true" && process.getuid?.() === 0;
  if (tools.missing !== undefined) {
    if (isDemanded) throw new Error(`missing: ${tools.missing}`);
    return { missing: tools.missing };
  }
  try {
    return await startContainerd(tools);
  } catch (error) {
    const [why] = String(error).split("\n").slice(-2);
    return { missing: `a machine that lets containers be run (${why})` };
  }
}

/** Runs a suite on a containerd of its own; where there can be none, one test stands for it, skipped with the reason. */
export async function describeOnContainerd(
  name: string,
  suite: (containerd: OwnContainerd) => void,
): Promise<void> {
  const here = await containerdHere();
  const whole = (containerd: OwnContainerd): void => {
    afterAll(() => containerd.stop());
    suite(containerd);
  };
  describe(`${name}, on a containerd`, () => {
    if ("missing" in here) skipped(here.missing);
    else whole(here);
  });
}

function skipped(missing: string): void {
  test("has all that it runs on", (context) => context.skip(`not here: ${missing}`));
}
