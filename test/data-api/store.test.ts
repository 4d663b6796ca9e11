import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PreparedUnit, StateStore } from "../../src/state/ports.ts";
import { describeOnPrivateServers, KEYS, openSupabase } from "../support/supabase.ts";
import type { Supabase } from "../support/supabase.ts";

/** JSON that would not survive a parser. */
const DOCUMENT = '{"z":1.10,"a":12345678901234567890,"ü":"\\"q\\" \\u00e9","l":[null,true]}';

function unitOf(id: string, body: string): PreparedUnit {
  const change = { op: "update", id, type: "note", body, phase: null } as const;
  return {
    namespace: "default",
    scope: null,
    changes: [{ ...change, expectedVersion: null, basedOn: null, expiresAt: null }],
    expectedStep: null,
    actor: null,
    cause: null,
    idempotencyKey: null,
  };
}

describeOnPrivateServers("a store over the Data API", (createDatabase) => {
  let supabase: Supabase;
  let store: StateStore;

  beforeAll(async () => {
    supabase = await openSupabase(createDatabase);
    store = supabase.openStore();
  });

  afterAll(() => supabase.close());

  const key = (id: string) => ({ namespace: "default", id });

  /** What came in while something was done. */
  async function requestsOf(work: () => Promise<unknown>) {
    const before = supabase.double.seen.length;
    await work();
    return supabase.double.seen.slice(before);
  }

  test("writes by POST and reads by GET, from and to the one schema", async () => {
    const [written] = await requestsOf(() => store.commitBatch(0, [unitOf("a", "1")], true));
    expect(written).toMatchObject({ method: "POST", path: "/rest/v1/rpc/commit_batch_json" });
    expect(written!.headers).toMatchObject({
      "content-profile": "agent_state_api",
      "content-type": "application/json",
      "user-agent": expect.stringMatching(/^agent-runtime-state\/\d/),
    });
    const reads = await requestsOf(async () => {
      await store.readStates([key("a")]);
      await store.history(key("a"), { before: null, limit: 10 });
      await store.feed.bounds();
      await store.describe();
    });
    expect(reads.map(({ method }) => method)).toEqual(["GET", "GET", "GET", "GET"]);
    expect(reads[0]!.path).toMatch(/^\/rest\/v1\/rpc\/read_states_json\?q=/);
    expect(reads[0]!.headers).toMatchObject({ "accept-profile": "agent_state_api" });
    const [pruned] = await requestsOf(() => store.upkeep.prune(new Date(0), 10));
    expect(pruned).toMatchObject({ method: "POST", path: "/rest/v1/rpc/prune_history_json" });
  });

  test("reads by POST what would make too long a URL, and the answer is the same", async () => {
    await store.commitBatch(0, [unitOf("there", "1")], true);
    const ids = Array.from({ length: 100 }, (_, n) => `${n}-${"é".repeat(100)}`);
    const keys = [...ids, "there"].map(key);
    const [request] = await requestsOf(async () => {
      const states = await store.readStates(keys);
      expect(states.findIndex((state) => state !== null)).toBe(100);
    });
    expect(request).toMatchObject({ method: "POST", path: "/rest/v1/rpc/read_states_json" });
  });

  test("stores and reads a document letter by letter, and every digit of a version", async () => {
    await store.commitBatch(0, [unitOf("letters", DOCUMENT)], true);
    expect((await store.readStates([key("letters")]))[0]?.text).toBe(DOCUMENT);
    await supabase.sql(
      `with s as (update agent_state.states set version = 9007199254740993, base_version = 9007199254740993 where id = 'letters' returning state_no)
       update agent_state.changes c set version = 9007199254740993 from s where c.state_no = s.state_no`,
    );
    const [state] = await store.readStates([key("letters")]);
    expect(state).toMatchObject({ version: 9007199254740993n, text: DOCUMENT });
    const [rows] = await store.commitBatch(0, [unitOf("letters", "2")], false);
    expect(rows![0]!.version).toBe(9007199254740994n);
  });

  test("answers pages of more than a thousand rows whole", async () => {
    const units = Array.from({ length: 1_200 }, (_, n) => unitOf(`many-${n}`, "1"));
    for (let from = 0; from < units.length; from += 200) {
      await store.commitBatch(0, units.slice(from, from + 200), true);
    }
    const page = { namespace: "default", idPrefix: "many-", limit: 1_200 };
    expect(await store.list(page)).toHaveLength(1_200);
  });

  test("sends documents in requests of about a megabyte at most, and a larger changeset all the same", async () => {
    const manager = supabase.openManager();
    const data = (characters: number) => ({ text: '"'.repeat(characters) });
    const requests = await requestsOf(async () => {
      const small = Array.from({ length: 12 }, (_, n) =>
        manager.updateState(`q${n}`, "note", data(50_000), { scope: "q" }),
      );
      await Promise.all([
        ...small,
        manager.updateState("large", "note", data(500_000), { scope: "q" }),
      ]);
    });
    const sizes = requests
      .filter(({ path }) => path.includes("/commit_batch")) // and not what it looks for meanwhile
      .map(({ bodyBytes }) => bodyBytes);
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.length).toBeLessThan(8);
    expect(sizes.filter((bytes) => bytes > 2_100_000)).toEqual([]);
    expect((await manager.getState("large", { consistency: "strong" })).data).toEqual(
      data(500_000),
    );
    await manager.close(); // It would go on asking for what is new.
  });

  describe("takes each kind of key", () => {
    test.each([
      ["a secret key", KEYS.secret, { apikey: KEYS.secret }],
      [
        "a legacy key",
        KEYS.serviceJwt,
        { apikey: KEYS.serviceJwt, authorization: `Bearer ${KEYS.serviceJwt}` },
      ],
      [
        "a public key with a JWT of least privilege",
        `${KEYS.publishable} ${KEYS.operatorJwt}`,
        { apikey: KEYS.publishable, authorization: `Bearer ${KEYS.operatorJwt}` },
      ],
      ["a JWT of least privilege alone", KEYS.writerJwt, { apikey: KEYS.writerJwt }],
    ])("%s", async (_name, secret, headers) => {
      const other = supabase.openStore({ key: secret });
      const [request] = await requestsOf(() => other.commitBatch(0, [unitOf("key", "1")], true));
      expect(request!.headers).toMatchObject(headers);
      if (secret === KEYS.secret) expect(request!.headers).not.toHaveProperty("authorization");
    });
  });

  test.each([
    [
      "a wrong key",
      "sb_secret_wrong",
      /refused the key in `supabase.mainKey` \(401: Invalid API key\)/,
    ],
    [
      "a JWT that is none of the project's",
      `${KEYS.publishable} a.b.c`,
      /refused the key in `supabase.mainKey` \(PGRST301/,
    ],
    [
      "a public key",
      KEYS.publishable,
      /role of the key in `supabase.mainKey` may not call commit_batch \(42501/,
    ],
    ["a key of somebody who may only read", KEYS.readerJwt, /may not call commit_batch \(42501/],
  ])(
    "says what is wrong with %s, without showing it, and that nothing happened",
    async (_name, secret, message) => {
      const other = supabase.openStore({ key: secret });
      const failure = await other
        .commitBatch(0, [unitOf("refused", "1")], true)
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringMatching(message),
        facts: { mayHaveHappened: false },
      });
      for (const word of secret.split(" ")) expect(String(failure)).not.toContain(word);
      expect(await store.readStates([key("refused")])).toEqual([null]);
    },
  );

  test("reads with a key that may only read", async () => {
    const reader = supabase.openStore({ key: KEYS.readerJwt });
    await store.commitBatch(0, [unitOf("read", "1")], true);
    expect(await reader.readStates([key("read")])).toMatchObject([{ id: "read" }]);
  });

  test("gives a statement that waits too long for a lock up, and says that nothing happened", async () => {
    await store.commitBatch(0, [unitOf("held", "1")], true);
    await supabase.sql("alter role authenticator set lock_timeout = '200ms'");
    const patient = await openSupabase(createDatabase); // Its double logs in anew: with the new setting.
    const other = patient.openStore();
    await other.commitBatch(0, [unitOf("held", "1")], true);
    const holder = await patient.connect();
    await holder.query("begin");
    await holder.query("select from agent_state.states where id = 'held' for update");
    await expect(other.commitBatch(0, [unitOf("held", "2")], false)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("lock timeout"),
      facts: { mayHaveHappened: false },
    });
    await holder.query("rollback");
    await supabase.sql("alter role authenticator set lock_timeout = '8s'");
    await patient.close();
  });

  test("refuses calls once it is closed, and ends what is under way", async () => {
    const other = supabase.openStore();
    const holder = await supabase.connect();
    await holder.query("begin");
    await holder.query("select from agent_state.states where id = 'a' for update");
    const waiting = other.commitBatch(0, [unitOf("a", "2")], false);
    await Promise.all([
      other.close(),
      expect(waiting).rejects.toMatchObject({
        code: "UNAVAILABLE",
        facts: { mayHaveHappened: true },
      }),
    ]);
    await holder.query("rollback");
    await expect(other.commitBatch(0, [unitOf("a", "2")], false)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      facts: { mayHaveHappened: false },
    });
  });
});
