import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DoubleOptions } from "./postgrest-double.ts";
import { PostgrestDouble } from "./postgrest-double.ts";
import { unsafeStatement } from "./safe-update.ts";
import { describeOnPrivateServers, KEYS, openSupabase } from "./supabase.ts";
import type { Supabase } from "./supabase.ts";
import { until } from "./until.ts";

const FUNCTIONS = `
  create function public.fail(json) returns json language plpgsql as
    $$ begin raise exception using errcode = $1 ->> 'state', message = 'no', detail = 'why', hint = 'do'; end $$;
  create function public.who(q json) returns json language sql stable as
    $$ select json_build_object('role', current_user, 'claims', current_setting('request.jwt.claims')::json, 'q', q,
         'method', current_setting('request.method'), 'path', current_setting('request.path'), 'readOnly', current_setting('transaction_read_only'),
         'agent', current_setting('request.headers')::json ->> 'user-agent', 'timeout', current_setting('statement_timeout')) $$;
  create function public.whole(json) returns json language sql as $$ select $1 $$;
  create function public.many() returns setof integer language sql stable as 'select generate_series(1, 1500)';
  create table public.t (n integer);
  grant all on public.t to public;
  create function public.write(json) returns json language sql as 'insert into public.t values (1); select ''"done"''::json';
  create function public.sly(q json) returns json language plpgsql stable as
    $$ begin return public.write(q); end $$;
  create function public.careless(json) returns json language sql as 'update public.t set n = 3; select ''1''::json';
  create function public.caller(json) returns json language sql as 'select public.careless($1)';
  create function public.careful(json) returns json language sql as 'update public.t set n = 4 where true; select ''1''::json';
  create function public.closed(json) returns json language sql as 'select $1';
  revoke execute on function public.closed from public;
  create sequence public.tries;
  grant all on sequence public.tries to public;
  create function public.unlucky(json) returns json language plpgsql as
    $$ begin if nextval('public.tries') < 3 then raise exception using errcode = '40001', message = 'again'; end if; return '"lucky"'; end $$;
`;

interface Told {
  readonly status: number;
  readonly json: unknown;
}

describeOnPrivateServers("the double of a Data API", (createDatabase) => {
  let supabase: Supabase;

  beforeAll(async () => {
    supabase = await openSupabase(createDatabase, { bodyBytes: 100_000 });
    await supabase.sql(FUNCTIONS);
    await post("none", {}); // It only looks again when asked for what it does not know.
    await until(async () => (await post("whole", {})).status === 200);
  });

  afterAll(() => supabase.close());

  async function send(
    path: string,
    init: RequestInit = {},
    key: string = KEYS.secret,
  ): Promise<Told> {
    const response = await fetch(`${supabase.double.url}/rest/v1/rpc/${path}`, {
      ...init,
      headers: { apikey: key, ...(init.headers as Record<string, string>) },
    });
    const text = await response.text();
    return {
      status: response.status,
      json: text === "" ? undefined : (JSON.parse(text) as unknown),
    };
  }

  function post(fn: string, body: unknown, key?: string, headers = {}): Promise<Told> {
    const json = { "content-type": "application/json", ...headers };
    return send(fn, { method: "POST", body: JSON.stringify(body), headers: json }, key);
  }

  const bearer = (jwt: string) => ({ authorization: `Bearer ${jwt}` });
  const q = (value: unknown) => `q=${encodeURIComponent(JSON.stringify(value))}`;

  test.each([
    ["08006", 503],
    ["0L000", 403],
    ["22P02", 400],
    ["23503", 409],
    ["23505", 409],
    ["25006", 405],
    ["25001", 500],
    ["28000", 403],
    ["40001", 500],
    ["40P01", 500],
    ["42501", 403],
    ["42883", 404],
    ["42P01", 404],
    ["53300", 503],
    ["53400", 500],
    ["54000", 500],
    ["55P03", 500],
    ["57014", 500],
    ["P0001", 400],
    ["P0002", 500],
    ["XX000", 500],
    ["PT409", 409],
    ["PT413", 413],
    ["PT503", 503],
  ])("answers SQLSTATE %s with status %i, and says what PostgreSQL said", async (state, status) => {
    expect(await post("fail", { state })).toEqual({
      status,
      json: { code: state, message: "no", details: "why", hint: "do" },
    });
  });

  test.each([
    ["a secret key", KEYS.secret, {}, "service_role"],
    ["a publishable key", KEYS.publishable, {}, "anon"],
    ["a secret key that is the bearer as well", KEYS.secret, bearer(KEYS.secret), "service_role"],
    ["a JWT beside the key", KEYS.publishable, bearer(KEYS.operatorJwt), "agent_state_operator"],
    ["a legacy key in both places", KEYS.serviceJwt, bearer(KEYS.serviceJwt), "service_role"],
    ["a legacy key in `apikey` alone", KEYS.serviceJwt, {}, "anon"],
  ])("goes on as the role of %s", async (_name, key, headers, role) => {
    expect(await post("who", { q: {} }, key, headers)).toMatchObject({
      status: 200,
      json: { role, claims: { role } },
    });
  });

  test.each([
    ["no key", {}, "No API key found in request"],
    ["a wrong key", { apikey: "sb_secret_wrong" }, "Invalid API key"],
    [
      "a bearer that is no JWT",
      { apikey: KEYS.publishable, ...bearer(KEYS.secret) },
      "Invalid API key",
    ],
    [
      "a JWT that nobody signed",
      { apikey: KEYS.publishable, ...bearer("a.b.c") },
      "JWSError JWSInvalidSignature",
    ],
    [
      "a browser with a secret key",
      { apikey: KEYS.secret, "user-agent": "Mozilla/5.0" },
      "Forbidden use of secret API key in browser",
    ],
  ])("answers 401 to %s", async (_name, headers, message) => {
    const response = await fetch(`${supabase.double.url}/rest/v1/rpc/who?${q({})}`, {
      headers: headers as Record<string, string>,
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ message });
  });

  test("tells a role that may not that it may not, and nobody that he should say who he is", async () => {
    const code = "42501";
    expect(await post("closed", {})).toMatchObject({ status: 403, json: { code } });
    expect(await post("closed", {}, KEYS.publishable)).toMatchObject({
      status: 401,
      json: { code },
    });
  });

  test("reads in a read-only transaction by GET, and by POST what is not volatile", async () => {
    const got = await send(`who?${q({ a: "ü" })}`, { headers: { "user-agent": "test" } });
    const facts = { readOnly: "on", path: "/rpc/who", timeout: "8s" };
    expect(got).toMatchObject({ status: 200, json: { ...facts, method: "GET", agent: "test" } });
    const posted = await post("who", { q: { a: 1.1 } });
    expect(posted).toMatchObject({
      status: 200,
      json: { ...facts, method: "POST", q: { a: 1.1 } },
    });
    expect(await post("sly", { q: {} })).toMatchObject({ status: 405, json: { code: "25006" } });
    expect(await send(`sly?${q({})}`)).toMatchObject({ status: 405, json: { code: "25006" } });
    expect(await send(`who?${q({})}`, { method: "HEAD" })).toEqual({
      status: 200,
      json: undefined,
    });
    expect(await supabase.sql("select from public.t")).toEqual([]);
  });

  test("hands on what an URL says as text, which a JSON parameter keeps as a string", async () => {
    expect(await send(`who?${q({ a: 1 })}`)).toMatchObject({ json: { q: '{"a":1}' } });
  });

  test("hands the whole body to a function with a single parameter without a name", async () => {
    expect(await post("whole", { a: [1, null], b: "x" })).toEqual({
      status: 200,
      json: { a: [1, null], b: "x" },
    });
    expect(await post("whole", "text")).toEqual({ status: 200, json: "text" });
    expect(await send("whole")).toMatchObject({ status: 404, json: { code: "PGRST202" } });
  });

  test("cuts a set after a thousand rows", async () => {
    const { status, json } = await send("many");
    expect(status).toBe(200);
    expect(json).toHaveLength(1_000);
  });

  test("refuses UPDATE and DELETE without WHERE, inside of functions as well", async () => {
    const refusal = {
      status: 400,
      json: { code: "21000", message: "UPDATE requires a WHERE clause" },
    };
    expect(await post("careless", {})).toMatchObject(refusal);
    expect(await post("caller", {})).toMatchObject(refusal);
    expect(await post("careful", {})).toEqual({ status: 200, json: 1 });
  });

  test("knows a function that was made meanwhile only once it was asked for one that it did not know", async () => {
    await supabase.sql(
      "create function public.late(json) returns json language sql as 'select $1'",
    );
    expect(await post("late", 1)).toMatchObject({ status: 404, json: { code: "PGRST202" } });
    await until(async () => (await post("late", 1)).status === 200);
  });

  test.each([
    ["a name it does not take", () => post("who", { q: {}, more: 1 }), 404, "PGRST202"],
    ["a name that is missing", () => post("who", {}), 404, "PGRST202"],
    [
      "a schema that is not exposed",
      () => post("who", { q: {} }, KEYS.secret, { "content-profile": "agent_state" }),
      406,
      "PGRST106",
    ],
    ["another method", () => send("who", { method: "PUT", body: "{}" }), 405, "PGRST101"],
    ["another content type", () => send("who", { method: "POST", body: "q=1" }), 415, "PGRST107"],
    [
      "a body that is no JSON",
      () =>
        send("who", { method: "POST", body: "{", headers: { "content-type": "application/json" } }),
      400,
      "PGRST102",
    ],
    ["a path that is none", () => send("../t"), 404, "PGRST125"],
  ])("refuses %s", async (_name, call, status, code) => {
    expect(await call()).toMatchObject({ status, json: { code } });
  });

  test("refuses, before PostgREST sees it, a long URL and a large body", async () => {
    expect((await send(`who?${q("x".repeat(8_000))}`)).status).toBe(414);
    expect((await post("whole", "x".repeat(100_001))).status).toBe(413);
  });

  test("says that its database is away", async () => {
    const double = await openDouble({});
    await supabase.sql("alter role authenticator nologin");
    await supabase.sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator'",
    );
    const ask = () =>
      fetch(`${double.url}/rest/v1/rpc/who?${q({})}`, { headers: { apikey: KEYS.secret } });
    try {
      const response = await until(async () => {
        const answer = await ask(); // 500 where it first finds its connection dead
        return answer.status === 503 ? answer : undefined;
      });
      expect(await response.json()).toMatchObject({ code: "PGRST000" });
    } finally {
      await supabase.sql("alter role authenticator login");
    }
    await until(async () => (await ask()).status === 200);
    await double.close();
  });

  test("repeats a serialization failure by itself only as the older ones do", async () => {
    expect(await post("unlucky", {})).toMatchObject({ status: 500, json: { code: "40001" } });
    const double = await openDouble({ retriesSerialization: true });
    await supabase.sql("alter sequence public.tries restart");
    const response = await fetch(`${double.url}/rest/v1/rpc/unlucky`, {
      method: "POST",
      body: "{}",
      headers: { apikey: KEYS.secret, "content-type": "application/json" },
    });
    expect(await response.json()).toBe("lucky");
    await double.close();
  });

  function openDouble(options: Partial<DoubleOptions>): Promise<PostgrestDouble> {
    const { adminUrl } = supabase.database;
    const connectionString = adminUrl.replace(/\/\/[^@]*@/, "//authenticator@");
    const keys = { [KEYS.secret]: "service_role" };
    return PostgrestDouble.open({ connectionString, keys, schemas: ["public"], ...options });
  }
});

describe("an UPDATE or DELETE without WHERE", () => {
  test.each([
    ["update t set a = 1", "UPDATE"],
    ["begin; update t set a = (select 1 where true); end", "UPDATE"],
    ["with x as (delete from t returning a) select a from x where a > 1", "DELETE"],
    ["begin if true then delete from t; end if; delete from u where a = 1; end", "DELETE"],
    ["update t set a = 1 -- where", "UPDATE"],
    ["update t set a = ' where '", "UPDATE"],
  ])("is found in %s", (sql, kind) => {
    expect(unsafeStatement(sql)).toBe(kind);
  });

  test.each([
    "update t set a = 1 where true",
    "with x as (update t set a = 1 where a = 2 returning a) select a from x",
    "insert into t values (1) on conflict do update set a = 1",
    "select a from t for update",
    "delete from t using u where t.a = u.a",
    "create trigger x before update of a on t execute function f()",
  ])("is not in %s", (sql) => {
    expect(unsafeStatement(sql)).toBeUndefined();
  });
});
