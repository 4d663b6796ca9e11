// What the page asks of the service, with the token and the namespace of this tab.

const TOKEN = "agent-runtime-state.token";
const NAMESPACE = "agent-runtime-state.namespace";

/** Who asks; kept for as long as the tab is open. */
export const session = {
  get token() {
    return sessionStorage.getItem(TOKEN) ?? "";
  },
  set token(token) {
    keep(TOKEN, token);
  },
  get namespace() {
    return sessionStorage.getItem(NAMESPACE) ?? "";
  },
  set namespace(namespace) {
    keep(NAMESPACE, namespace);
  },
};

/** What the service refused: a problem with its code, and what to do in `message`. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the service answered ${status}`);
    this.name = "Refusal";
    this.status = status;
    this.code = problem.code ?? "UNKNOWN";
  }
}

let skewMs = 0;

/** Now, by the clock of the service: what it says about times is compared with it. */
export function serverNow() {
  return Date.now() + skewMs;
}

/** Asks the service and gives its JSON; throws a Refusal, or a TypeError where it cannot be reached. */
export async function ask(path, { method = "GET", query = {}, body, signal } = {}) {
  const response = await fetch(addressOf(path, query), {
    method,
    signal,
    headers: {
      ...headers(),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  noteClock(response);
  if (!response.ok) throw await refusalOf(response);
  return await response.json();
}

/** Opens a stream of server-sent events; throws as `ask` does. */
export async function openStream(path, { query = {}, signal }) {
  const response = await fetch(addressOf(path, query), {
    headers: headers(),
    signal,
    cache: "no-store",
  });
  if (!response.ok) throw await refusalOf(response);
  return response.body;
}

/** The path of a resource: `at("v1", "states", id)`. */
export function at(...parts) {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

function headers() {
  const { token, namespace } = session;
  return {
    ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    ...(namespace === "" ? {} : { "agent-namespace": namespace }),
  };
}

function addressOf(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return search === "" ? path : `${path}?${search}`;
}

async function refusalOf(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refusal(response.status, problem);
}

/** The header has whole seconds: less than two say nothing. */
function noteClock(response) {
  const told = Date.parse(response.headers.get("date") ?? "");
  const difference = told - Date.now();
  if (!Number.isNaN(difference)) skewMs = Math.abs(difference) < 2_000 ? 0 : difference;
}

function keep(name, value) {
  if (value === "") sessionStorage.removeItem(name);
  else sessionStorage.setItem(name, value);
}
