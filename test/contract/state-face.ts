import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StateFace } from "../../src/state/face.ts";
import { uniqueId } from "./state-face/case.ts";
import { batchContract } from "./state-face/batch.ts";
import { changesetContract } from "./state-face/changeset.ts";
import { conditionContract } from "./state-face/condition.ts";
import { documentContract } from "./state-face/document.ts";
import { idempotencyContract } from "./state-face/idempotency.ts";
import { lifecycleContract } from "./state-face/lifecycle.ts";
import { listContract } from "./state-face/list.ts";
import { raceContract } from "./state-face/race.ts";
import { refusalContract } from "./state-face/refusal.ts";
import { rollbackContract } from "./state-face/rollback.ts";
import { scopeContract } from "./state-face/scope.ts";
import { versionContract } from "./state-face/version.ts";
import { watchContract } from "./state-face/watch.ts";

export interface OpenedFace {
  readonly face: StateFace;
  close(): Promise<void>;
}

/**
 * Everything that a state face promises, as tests of one implementation.
 *
 * All tests share one face and whatever is in it already: each works on ids of its own.
 */
export function stateFaceContract(name: string, open: () => Promise<OpenedFace>): void {
  describe(`${name} keeps the promises of a state face`, () => {
    let opened: OpenedFace;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(async () => await opened.close());

    const face = () => opened.face;
    describe("versions", () => {
      versionContract(face);
    });
    describe("documents", () => {
      documentContract(face);
    });
    describe("conditions", () => {
      conditionContract(face);
    });
    describe("idempotency", () => {
      idempotencyContract(face);
    });
    describe("lifecycles", () => {
      lifecycleContract(face);
    });
    describe("changesets", () => {
      changesetContract(face);
    });
    describe("batches", () => {
      batchContract(face);
    });
    describe("scopes", () => {
      scopeContract(face);
    });
    describe("going back", () => {
      rollbackContract(face);
    });
    describe("lists and history", () => {
      listContract(face);
    });
    describe("watching", () => {
      watchContract(face);
    });
    describe("refusals", () => {
      refusalContract(face);
    });
    describe("races", () => {
      raceContract(face);
    });
    closeContract(open);
  });
}

function closeContract(open: () => Promise<OpenedFace>): void {
  test("a closed face finished what it accepted, and refuses more; closing twice is safe", async () => {
    const opened = await open();
    const { face } = opened;
    const id = uniqueId();
    const accepted = face.updateState(id, "shared", 1);
    await Promise.all([face.close(), face.close()]);
    expect((await accepted).version).toBe(1n);
    await expect(face.updateState(id, "shared", 2)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      facts: { mayHaveHappened: false },
    });
    await expect(face.history(id)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("closed"),
    });
    await opened.close();
  });
}
