import type { Missing } from "./parts.d.mts";

/** The programs that a cluster of simulated nodes is made of. */
export interface ClusterTools {
  readonly missing?: never;
  readonly etcd: string;
  readonly apiserver: string;
  readonly kwok: string;
}

export function findCluster(): ClusterTools | Missing;
export function provideCluster(): ClusterTools | Missing;
