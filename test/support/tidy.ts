import { dirname, join } from "node:path/posix";

/** Text files by their path from the package's root, with forward slashes. */
export type Tree = ReadonlyMap<string, string>;

/** One broken rule: the path, and what to do about it. */
export type Finding = string;

const MAX_LINES = 400;

/** Who may import whom, folder by folder; its own folder always. ARCHITECTURE.md draws it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  state: [],
  service: ["state"],
  config: ["service", "state"],
  client: ["processor", "service", "state"],
  supabase: ["service", "state"],
  follower: ["service", "state"],
  embedded: ["service", "state"],
  grpc: [],
  rocketmq: ["grpc", "service", "state"],
  containerd: ["grpc", "service", "state"],
  captor: ["containerd", "service", "state"],
  doctor: ["service", "state"],
  dragonfly: ["service", "state"],
  tasks: ["service", "state"],
  bus: ["service", "state"],
  relay: ["service", "state"],
  consumer: ["service", "state"],
  intake: ["consumer", "service", "state"],
  spool: ["service", "state"],
  lifecycle: ["intake", "service", "state"],
  processor: ["service", "state"],
  fsck: ["service", "state"],
  manager: ["tasks", "processor", "fsck", "lifecycle", "intake", "supabase", "service", "state"],
  server: ["manager", "service", "state"],
  runtime: [
    "server",
    "manager",
    "tasks",
    "processor",
    "follower",
    "bus",
    "rocketmq",
    "captor",
    "containerd",
    "dragonfly",
    "doctor",
    "relay",
    "lifecycle",
    "intake",
    "consumer",
    "supabase",
    "embedded",
    "config",
    "service",
    "state",
  ],
  hook: ["spool", "service", "state"],
  kubernetes: ["service", "state"],
  reflector: ["kubernetes", "service", "state"],
  webhook: ["service", "state"],
  cli: [
    "runtime",
    "client",
    "doctor",
    "hook",
    "kubernetes",
    "reflector",
    "spool",
    "webhook",
    "config",
    "service",
    "state",
  ],
  index: ["runtime", "client", "consumer", "manager", "processor", "service", "state"],
};

/**
 * The one folder that knows a third party's package. Two protocols go over gRPC: what they share is in a
 * folder of its own, how each keeps its connections is theirs.
 */
const OWNER: Readonly<Record<string, string | readonly string[]>> = {
  "@grpc/grpc-js": ["grpc", "rocketmq", "containerd"],
  "@opentelemetry/api": "service",
  "@redis/client": "dragonfly",
  commander: "cli",
  fastify: "server",
  pg: "supabase",
  pino: "service",
  "prom-client": "service",
  protobufjs: "grpc",
  yaml: ["config", "kubernetes"],
};

/** Files that are too long to be one thing. */
export function tooLong(tree: Tree): Finding[] {
  return sourcesOf(tree, /\.(ts|mts|mjs|sql|sh)$/)
    .map(([path, text]) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines; split it below ${MAX_LINES}`);
}

/** Imports that go up or sideways, and folders that have no place in the layers yet. */
export function wrongDirections(tree: Tree): Finding[] {
  return importsOf(tree).flatMap(({ path, specifier }) => {
    if (!specifier.startsWith(".")) return [];
    const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
    const [from, to] = [layerOf(path), layerOf(target)];
    const allowed = MAY_IMPORT[from];
    if (allowed === undefined)
      return [`${path}: ${from} is no layer; give it a place in the table`];
    if (from === to || allowed.includes(to)) return [];
    return [`${path}: ${from} may not import ${to} (${specifier})`];
  });
}

/** Packages imported outside the one folder that wraps them, or that no folder owns. */
export function strayPackages(tree: Tree): Finding[] {
  return importsOf(tree).flatMap(({ path, specifier }) => {
    if (/^(\.|node:)/.test(specifier) || path.endsWith(".test.ts")) return [];
    const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
    const owner = OWNER[name];
    if (owner === undefined) return [`${path}: ${name} has no folder of its own in the table`];
    const owners = [owner].flat();
    return owners.includes(layerOf(path))
      ? []
      : [`${path}: ${name} belongs to src/${owners.join("/, src/")}/ alone`];
  });
}

/** Files that only hand on what others export. */
export function barrels(tree: Tree): Finding[] {
  return sourcesOf(tree, /^src\/.*\.ts$/).flatMap(([path, text]) => [
    ...(/^export \*/m.test(text) ? [`${path}: export each name by itself, not *`] : []),
    ...(path !== "src/index.ts" && /^export (type )?\{[^}]*\} from/m.test(text)
      ? [`${path}: only src/index.ts hands on names; import from the file that has them`]
      : []),
    ...(path !== "src/index.ts" && path.endsWith("/index.ts") ? [`${path}: a barrel`] : []),
  ]);
}

/** Reads of the process clock outside of the one file that may. */
export function clockReads(tree: Tree): Finding[] {
  return sourcesOf(tree, /^src\/.*(?<!\.test)\.ts$/)
    .filter(([path, text]) => {
      const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
      return path !== "src/service/clock.ts" && /\bDate\.now\b|\bnew Date\(\s*\)/.test(code);
    })
    .map(([path]) => `${path}: take the time from the database, or from service/clock.ts`);
}

/** Migrations that are not numbered 0001, 0002, ... without a gap. */
export function misnumberedMigrations(tree: Tree): Finding[] {
  const files = [...tree.keys()].filter((path) => /^migrations\/main\/[^/]+\.sql$/.test(path));
  return files.toSorted().flatMap((path, index) => {
    const expected = `migrations/main/${String(index + 1).padStart(4, "0")}_`;
    const isGood = path.startsWith(expected) && /\/\d{4}_[a-z0-9]+(_[a-z0-9]+)*\.sql$/.test(path);
    return isGood ? [] : [`${path}: the next migration is called ${expected}what_it_does.sql`];
  });
}

/** Packages of the lock file that may be replaced unnoticed on their way here: nothing says what is in them. */
export function unsealedPackages(tree: Tree): Finding[] {
  const lock = JSON.parse(tree.get("package-lock.json") ?? "{}") as {
    readonly packages?: Readonly<Record<string, { readonly integrity?: string }>>;
  };
  return Object.entries(lock.packages ?? {})
    .filter(([path, { integrity }]) => path !== "" && integrity === undefined)
    .map(([path]) => `package-lock.json: ${path} has no integrity; let npm write its entry`);
}

/** Error codes that docs/errors.md lacks, has too much of, or gives another status. */
export function undocumentedErrors(
  tree: Tree,
  statuses: Readonly<Record<string, number>>,
): Finding[] {
  const page = tree.get("docs/errors.md") ?? "";
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` +\| (\d{3}) +\| (.+?) +\| (.+?) +\|$/gm)];
  const documented = new Map(rows.map(([, code = "", status]) => [code, Number(status)]));
  return [
    ...Object.entries(statuses)
      .filter(([code, status]) => documented.get(code) !== status)
      .map(([code, status]) => `docs/errors.md: needs a row for \`${code}\` with ${status}`),
    ...[...documented.keys()]
      .filter((code) => !(code in statuses))
      .map((code) => `docs/errors.md: \`${code}\` is no code of src/state/errors.ts`),
  ];
}

/** Links between the documents that lead to no file, or to no heading of it. */
export function deadLinks(tree: Tree): Finding[] {
  const isThere = (target: string): boolean =>
    tree.has(target) || [...tree.keys()].some((path) => path.startsWith(`${target}/`));
  return [...tree]
    .filter(([path]) => path.endsWith(".md"))
    .flatMap(([path, text]) =>
      [...proseOf(text).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(
        ([link, file = "", heading]) => {
          const target = file === "" ? path : join(dirname(path), file);
          if (!/\.(png|jsonl?)$/.test(target) && !isThere(target)) return [`${path}: ${link}`];
          const isNamed = heading === undefined || headingsOf(tree.get(target)).includes(heading);
          return isNamed ? [] : [`${path}: ${link}: no such heading`];
        },
      ),
    );
}

/** Traces of one machine, and things left for later: neither belongs to the project. */
export function traces(tree: Tree): Finding[] {
  const marks: readonly (readonly [RegExp, string])[] = [
    [/(?<![\w.$}])\/(?:work|root|Users|farm)\/\w/, "a path of one machine"],
    [/\.\.\/shared\//, "a path outside of the repository"],
    [/registry\.npm|deb\.debian|pypi\.org|repo1\.maven/, "a package registry's host"],
    [/^ *"resolved":/m, "a download address"],
    [/\b(?:TO[D]O|FIX[M]E|HAC[K])\b/, "something left for later"],
    [/\b(?:test|it|describe)\.(?:only|skip|todo)\b/, "a test that is left out"],
  ];
  return [...tree].flatMap(([path, text]) =>
    marks
      .filter(([mark]) => mark.test(text))
      .map(([mark, what]) => `${path}: ${what}: ${mark.exec(text)?.[0]}`),
  );
}

function proseOf(markdown: string): string {
  return markdown.replaceAll(/```[^]*?```/g, "");
}

/** The anchors that GitHub makes of headings. */
function headingsOf(markdown = ""): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-"),
  );
}

function sourcesOf(tree: Tree, kind: RegExp): [string, string][] {
  return [...tree].filter(([path]) => kind.test(path));
}

function layerOf(path: string): string {
  return /^src\/([^/.]+)/.exec(path)?.[1] ?? "outside of src";
}

function importsOf(tree: Tree): { readonly path: string; readonly specifier: string }[] {
  const forms = [
    /^\s*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm,
    /^\s*import\s*["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']/g,
  ];
  return sourcesOf(tree, /^src\/.*\.ts$/).flatMap(([path, text]) =>
    forms.flatMap((form) =>
      [...text.matchAll(form)].map(([, specifier = ""]) => ({ path, specifier })),
    ),
  );
}
