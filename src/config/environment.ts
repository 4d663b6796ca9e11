import { nearest } from "../state/nearest.ts";
import { OPTION_KEYS, optionOf, variableOf } from "./options.ts";
import type { OptionKey } from "./options.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "AGENT_RUNTIME_";

/**
 * What Kubernetes puts into every pod for a Service whose name begins with `agent-runtime`. A
 * service that refused these would not start beside its own Service.
 */
const SERVICE_LINK =
  /^AGENT_RUNTIME_(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const SERVICE_URL = /^(?:tcp|udp|sctp):\/\//;

/** The variables that give an option its value, the one that counts first; empty ones are unset. */
export function variablesFor(key: OptionKey, env: Environment): string[] {
  const names = [variableOf(key), ...(optionOf(key).aliases ?? [])];
  return names.filter((name) => isSet(env, name) && !isServiceLink(name, env[name]!));
}

/**
 * Variables that look like ours and are not, each with the nearest one that is.
 *
 * @param others names that somebody else in this program reads.
 */
export function unknownVariables(
  env: Environment,
  others: readonly string[],
): { readonly name: string; readonly nearest?: string }[] {
  const known = [...OPTION_KEYS.map(variableOf), ...others];
  // Without what all have in common, or everything short would be near everything short.
  const endings = known.map((name) => name.slice(PREFIX.length));
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.includes(name))
    .filter((name) => isSet(env, name) && !isServiceLink(name, env[name]!))
    .toSorted()
    .map((name) => {
      const near = nearest(name.slice(PREFIX.length), endings);
      return near === undefined ? { name } : { name, nearest: PREFIX + near };
    });
}

function isSet(env: Environment, name: string): boolean {
  return env[name] !== undefined && env[name] !== "";
}

function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith("_PORT") && SERVICE_URL.test(value));
}
