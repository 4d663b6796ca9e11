import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, test } from "vitest";
import { startContainerd } from "../../dev/services/containerd.ts";
import { findParts } from "../../dev/services/tools.ts";
import type { ImageArchive } from "../../scripts/image.d.mts";
import type { Missing, NodeTools } from "../../scripts/parts.d.mts";
import { packageRoot } from "../../src/service/package-root.ts";
import { startCluster } from "./cluster.ts";
import type { OwnCluster } from "./cluster.ts";
import { findCluster } from "./on-cluster.ts";
import { OwnNode } from "./own-node.ts";

const script = (name: string): Promise<unknown> =>
  import(pathToFileURL(join(packageRoot(), "scripts", name)).href);
// Loaded by their paths: they are plain JavaScript.
const { findNode } = (await script("parts.mjs")) as {
  readonly findNode: () => NodeTools | Missing;
};
const { provideImage } = (await script("image.mjs")) as {
  readonly provideImage: () => ImageArchive;
};

/** A cluster with a real node, which has the program's image. */
export interface WholeCluster {
  readonly cluster: OwnCluster;
  readonly node: OwnNode;
  /** The program's image, as nodes know it. */
  readonly image: string;
}

/** Runs a suite on a cluster with a real kubelet; where there can be none, one test stands for it, skipped with the reason. */
export async function describeOnNode(
  name: string,
  suite: (whole: WholeCluster) => void,
): Promise<void> {
  const whole = await startWhole();
  const onWhole = (found: WholeCluster): void => {
    afterAll(async () => {
      await found.node.containerd.stop();
      await found.cluster.stop();
    });
    suite(found);
  };
  describe(`${name}, on a node`, () => {
    if ("missing" in whole) skipped(whole.missing);
    else onWhole(whole);
  });
}

function skipped(missing: string): void {
  test("has all that it runs on", (context) => context.skip(`not here: ${missing}`));
}

async function startWhole(): Promise<WholeCluster | Missing> {
  const programs = findCluster();
  const { containerd: tools } = findParts();
  const more = findNode();
  if (programs.missing !== undefined) return programs;
  if (tools.missing !== undefined) return tools;
  if (more.missing !== undefined) return more;
  const image = provideImage();
  const containerd = await startContainerd(tools, more);
  try {
    await containerd.loadImage(image.file);
    const address = containerd.network.machine;
    const cluster = await startCluster(programs, { address, isForPods: true });
    const node = new OwnNode(programs, cluster, containerd);
    await node.start();
    await node.startServices();
    cluster.startControllers();
    return { cluster, node, image: image.name };
  } catch (error) {
    await containerd.stop();
    throw error;
  }
}
