import type { StateManager } from "../manager/state-manager.ts";
import type { JsonObject } from "../state/json.ts";

/** What `/v1/info` says of the confusion detector. */
export function fsckInfo({ detector }: Pick<StateManager, "detector">): JsonObject {
  const { open, checked, position, sweptAt } = detector.figures;
  const openFindings = [...open.values()].reduce((sum, count) => sum + count, 0);
  return {
    health: detector.isOn ? (openFindings === 0 ? "ok" : "findings are open") : "off",
    openFindings,
    ...(openFindings === 0 ? {} : { byCheck: Object.fromEntries(open) }),
    statesChecked: checked,
    scrubPosition: position,
    sweptAt: sweptAt?.toISOString() ?? null,
  };
}
