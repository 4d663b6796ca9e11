import type { Missing } from "./parts.d.mts";

/** The programs that clusters are made of. */
export interface ClusterTools {
  readonly missing?: never;
  readonly etcd: string;
  readonly apiserver: string;
  /** Plays nodes. */
  readonly kwok: string;
  readonly controllers: string;
  readonly scheduler: string;
  readonly kubelet: string;
  /** Leads what is sent to a Service to its pods. */
  readonly proxy: string;
  /** Knows Services by their names. */
  readonly dns: string;
}

export function findCluster(): ClusterTools | Missing;
export function provideCluster(): ClusterTools | Missing;
