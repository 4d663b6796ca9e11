import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { serve } from "../server/serve.ts";
import { pauseReplay, resumeReplay, waitForReplay } from "../support/replica.ts";
import { openPair, untilInUse } from "./replica.ts";
import type { Pair } from "./replica.ts";

describe("two services beside a replica, over HTTP", () => {
  let pair: Pair;
  let first: string;
  let second: string;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    pair = await openPair();
    const open = async (): Promise<string> => {
      const manager: StateManager = pair.openManager({ pollMs: 1_000_000, isAlone: true });
      await untilInUse(manager);
      const served = await serve(manager, {
        feedHead: () => manager.feedHead(),
        readState: (id, options) => manager.readState(id, options),
      });
      ends.push(() => served.close());
      return served.url;
    };
    first = await open();
    second = await open();
  });

  afterAll(async () => {
    for (const end of ends) await end();
    await pair.close();
  });

  async function put(id: string, data: number, token = ""): Promise<string> {
    const answer = await fetch(`${first}/v1/states/${id}`, {
      method: "PUT",
      headers: { "content-type": "application/json", "session-token": token },
      body: JSON.stringify({ type: "note", scope: "s", data }),
    });
    expect(answer.ok).toBe(true);
    return answer.headers.get("session-token")!;
  }

  const get = (path: string, token = ""): Promise<Response> =>
    fetch(`${second}${path}`, { headers: { "session-token": token } });

  const idsIn = async (answer: Response): Promise<string[]> =>
    ((await answer.json()) as { items: { id: string }[] }).items.map(({ id }) => id);

  test("the one's token makes the other's reads no older, whatever the replica has", async () => {
    let token = await put("a", 1);
    await waitForReplay(pair);
    const served = await get("/v1/states/a", token);
    expect(served.headers.get("served-by")).toBe("readonly");
    expect(served.headers.get("session-token")).toBe("default/a@1:1/s");

    await pauseReplay(pair.readonly);
    token = await put("a", 2, token);
    token = await put("b", 1, token);
    expect(token).toBe("default/a@2:2/s,default/b@1:3/s");
    expect(await (await get("/v1/states/a")).json()).toMatchObject({ version: "1" });
    expect(await idsIn(await get("/v1/states"))).toEqual(["a"]);

    const fresh = await get("/v1/states/a", token);
    expect(fresh.headers.get("served-by")).toBe("main");
    expect(await fresh.json()).toMatchObject({ version: "2" });
    expect((await get("/v1/states/b", token)).status).toBe(200);
    expect(await idsIn(await get("/v1/states", token))).toEqual(["a", "b"]);
    await resumeReplay(pair.readonly);
    await waitForReplay(pair);
  });

  test("what a token does not name, or says of no step, is read from main where it may matter", async () => {
    await put("old", 1);
    await waitForReplay(pair);
    await pauseReplay(pair.readonly);
    await put("young", 1);
    expect(await idsIn(await get("/v1/states?scope=s", "default/young@1"))).toContain("young");
    expect(await idsIn(await get("/v1/states", "*/*@1"))).toContain("young");
    const cut = await get("/v1/states/old", "*/*@1");
    expect(cut.headers.get("served-by")).toBe("main");
    const strong = await get("/v1/scopes/s?consistency=strong");
    expect(await strong.json()).toMatchObject({ scope: "s" });
    await resumeReplay(pair.readonly);
    await waitForReplay(pair);
  });

  test("a client carries what it wrote to whichever service answers", async () => {
    await put("carried", 1);
    await waitForReplay(pair);
    let target = first;
    const client = HttpStateClient.open({
      url: "http://service",
      fetch: (input, init) => fetch((input as string).replace("http://service", target), init),
    });
    await pauseReplay(pair.readonly);
    await client.updateState("carried", "note", 2);
    await client.updateState("fresh", "note", 1);
    target = second;
    expect((await client.getState("carried")).version).toBe(2n);
    expect((await client.list()).items.map(({ id }) => id)).toContain("fresh");
    expect((await client.history("carried")).items).toHaveLength(2);
    expect((await client.diff("carried")).to).toBe(2n);
    expect(await client.scope("fresh")).toMatchObject({ step: 1n });
    await client.close();
    await resumeReplay(pair.readonly);
    await waitForReplay(pair);
  });
});
