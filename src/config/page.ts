import { OPTION_KEYS, flagOf, optionOf, variableOf } from "./options.ts";
import type { OptionKey } from "./options.ts";

/** One option for the parser of the command line. */
export interface FlagHelp {
  readonly key: OptionKey;
  /** `--write-batch-limit <number>`; a switch takes `true` when nothing follows. */
  readonly usage: string;
  readonly sentence: string;
}

/** Every option that has a flag, for `--help`. */
export function flagHelp(): FlagHelp[] {
  return OPTION_KEYS.filter((key) => optionOf(key).flagless !== true).map((key) => {
    const { sentence } = optionOf(key);
    return {
      key,
      usage: `--${flagOf(key)} ${placeholder(key)}`,
      sentence: `${sentence.replaceAll("`", "")} (${range(key)})`,
    };
  });
}

/** docs/config.md: the table, for people. */
export function configPage(): string {
  return `${INTRODUCTION}\n${OPTION_KEYS.map(entry).join("\n")}`;
}

const INTRODUCTION = `# Configuration

Generated from the table in \`src/config/options.ts\`; a test keeps the two equal.

Without any configuration, the service runs on embedded servers in \`.agent_runtime/\` and listens on
\`127.0.0.1:8080\`. A setting comes from the first of these that has it:

1. a flag: \`write.batchLimit\` is \`--write-batch-limit\`;
2. the environment: \`AGENT_RUNTIME_WRITE_BATCH_LIMIT\`. An empty variable counts as not set;
3. \`agent_runtime.yaml\` in the working directory, or the file that \`--config\` names;
4. its default.

\`\`\`yaml
listen: 127.0.0.1:8080
supabase:
  lanes: 4
write.batchLimit: 512 # a section and its key can be written as one
auth:
  tokens:
    - { name: dashboard, token: make-one-with-openssl-rand-hex-32, role: reader }
    - { name: planner, token: and-another-for-each-who-comes-in, namespace: acme, role: writer }
\`\`\`

All mistakes are reported at once (\`INVALID_CONFIG\`): unknown keys and \`AGENT_RUNTIME_*\` variables with
the nearest known name, wrong types and ranges with the line, and settings that contradict each other.
Values are checked even if another source overrides them.

\`--print-config\` shows every setting and where it came from, secrets as \`***\`.
`;

function entry(key: OptionKey): string {
  const { sentence, aliases = [], flagless } = optionOf(key);
  const names = [
    ...(flagless === true ? [] : [`--${flagOf(key)}`]),
    variableOf(key),
    ...aliases,
  ].map((name) => `\`${name}\``);
  return `## \`${key}\`\n\n${sentence}\n\n${capital(range(key))}.\n\n${names.join(" · ")}\n`;
}

/** `a whole number from 1 to 16, in connections; default 2`. */
function range(key: OptionKey): string {
  const { kind, unit, default: standard } = optionOf(key);
  const text = typeof standard === "string" ? standard : JSON.stringify(standard);
  const shown = text === "" || text === "[]" ? "empty" : text;
  return `${kind.domain}${unit === undefined ? "" : `, in ${unit}`}; default ${shown}`;
}

function placeholder(key: OptionKey): string {
  const { default: standard } = optionOf(key);
  if (typeof standard === "boolean") return "[boolean]";
  if (typeof standard === "number") return "<number>";
  return "<text>";
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
