import { SOURCE, scopeGroup } from "./change-event.ts";
import type { ChangeEventOptions } from "./change-event.ts";
import { eventBody, eventProperties } from "./event.ts";
import type { OutgoingMessage } from "./message-bus.ts";
import type { PatchOperation, PastRollback, Step, Version } from "./state.ts";

export const ROLLED_BACK = "dev.agentruntime.state.rolled_back.v1";

/** What going back made of one state. */
export interface StateTakenBack {
  readonly id: string;
  readonly type: string;
  /** Before it, and after it. */
  readonly version: Version;
  readonly newVersion: Version;
  readonly phase: string | null;
  readonly deleted: boolean;
  /** RFC 6902 operations between the two; absent where there were too many to travel. */
  readonly diff?: readonly PatchOperation[];
}

/** A scope went back: what was planned, and what came of it. Its changes follow as events of their own. */
export interface RolledBack extends PastRollback {
  readonly namespace: string;
  readonly scope: string;
  /** The steps that it quarantined. */
  readonly quarantined: readonly Step[];
  readonly stateCount: number;
  /** Absent where they were too many to travel. */
  readonly states?: readonly StateTakenBack[];
}

/** The message that tells of it: before the changes of its step, in order within the scope. */
export function rolledBackMessage(
  rolledBack: RolledBack,
  { topic, maxInlineBytes }: ChangeEventOptions,
): OutgoingMessage {
  const { namespace, scope, step, at, states = [] } = rolledBack;
  const event = {
    id: `${namespace}/${scope}/${step}`,
    source: SOURCE,
    type: ROLLED_BACK,
    subject: scope,
    time: at.toISOString(),
    data: rolledBackJson(rolledBack),
  };
  const { states: _all, ...bare } = rolledBack;
  const withoutDiffs = { ...bare, states: states.map(({ diff: _diff, ...state }) => state) };
  let body = eventBody(event);
  for (const smaller of [withoutDiffs, bare]) {
    if (body.byteLength > maxInlineBytes) {
      body = eventBody({ ...event, data: rolledBackJson(smaller) });
    }
  }
  return {
    topic,
    body,
    group: scopeGroup(namespace, scope),
    tag: "rolled_back",
    keys: [event.id, scope],
    properties: eventProperties(event),
  };
}

function rolledBackJson(rolledBack: RolledBack): object {
  const { step, restoredStep, undoneStep, quarantined, states, ...rest } = rolledBack;
  return {
    ...rest,
    step: `${step}`,
    restoredStep: `${restoredStep}`,
    undoneStep: `${undoneStep}`,
    quarantined: quarantined.map(String),
    ...(states === undefined
      ? {}
      : {
          states: states.map(({ version, newVersion, ...state }) => ({
            ...state,
            version: `${version}`,
            newVersion: `${newVersion}`,
          })),
        }),
  };
}
