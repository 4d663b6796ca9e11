import type { Json } from "../state/json.ts";
import { maskSecrets } from "../service/redact.ts";
import type { Origins } from "./load.ts";
import { OPTION_KEYS, optionOf } from "./options.ts";
import type { Config, OptionKey } from "./options.ts";

/** One setting as `--print-config` shows it. */
export interface DescribedOption {
  readonly key: OptionKey;
  /** With secrets as `***`. */
  readonly value: Json;
  readonly source: "flag" | "env" | "file" | "default";
  /** The flag, the variable, or the file and line. */
  readonly origin: string;
}

/** Every setting with its value and where it came from: what `--print-config --json` prints. */
export function describeConfig(config: Config, origins: Origins): DescribedOption[] {
  return OPTION_KEYS.map((key) => ({
    key,
    value: optionOf(key).kind.show(valueAt(config, key)),
    source: origins[key].source,
    origin: maskSecrets(origins[key].name),
  }));
}

/** The same for people: YAML that could be a configuration file, secrets apart. */
export function formatDescription(options: readonly DescribedOption[]): string {
  const settings = options.map(({ key, value }) => `${key}: ${JSON.stringify(value)}`);
  const width = Math.min(60, Math.max(...settings.map((setting) => setting.length)));
  return options
    .map(({ source, origin }, index) => {
      const comment = origin === "" ? source : `${source} ${origin}`;
      return `${settings[index]!.padEnd(width)}  # ${comment}\n`;
    })
    .join("");
}

function valueAt(config: Config, key: OptionKey): unknown {
  return key
    .split(".")
    .reduce<unknown>((tree, name) => (tree as Record<string, unknown>)[name], config);
}
