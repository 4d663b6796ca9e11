import type { Missing } from "./parts.d.mts";

interface Found {
  readonly missing?: never;
  readonly file: string;
}

/** What scripts/deploy-tools.mjs has. */
export interface DeployTools {
  readonly kubernetesVersion: string;
  readonly findHelm: () => Found | Missing;
  readonly findKubernetesSchema: () => Found | Missing;
  readonly provideDeployTools: () => void;
}
