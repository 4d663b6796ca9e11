import { Option } from "commander";
import { flagOf, optionOf, variableOf } from "../config/options.ts";
import type { OptionKey } from "../config/options.ts";

/** No default and no variable of commander's: where a setting comes from is for the config to decide. */
export function configFlag(key: OptionKey): Option {
  const { sentence, kind, unit, default: standard } = optionOf(key);
  const value = typeof standard === "boolean" ? "[true|false]" : `<${unit ?? "value"}>`;
  const unsaid = standard === "" ? "" : `; default ${JSON.stringify(standard)}`;
  return new Option(
    `--${flagOf(key)} ${value}`,
    `${sentence.replaceAll("`", "")} (${kind.domain}${unsaid}; ${variableOf(key)})`,
  );
}
