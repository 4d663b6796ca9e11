import { expect, test } from "vitest";
import { AgentRuntimeError } from "../state/errors.ts";
import { patiently } from "./patience.ts";

const away = new AgentRuntimeError("UNAVAILABLE", "away");
const signal = new AbortController().signal;

/** Fails with each error in turn, then answers. */
function failing(errors: readonly Error[]): () => Promise<string> {
  const left = [...errors];
  return async () => {
    const error = left.shift();
    if (error !== undefined) throw error;
    return "answer";
  };
}

test("a service that went away is asked again until it answers", async () => {
  let troubles = 0;
  const patience = { signal, isPatient: () => true, onTrouble: () => (troubles += 1) };
  await expect(patiently(failing([away, away]), patience)).resolves.toBe("answer");
  expect(troubles).toBe(2);
});

test("a service that was never there is not waited for", async () => {
  const patience = { signal, isPatient: () => false, onTrouble: () => undefined };
  await expect(patiently(failing([away]), patience)).rejects.toBe(away);
});

test("a refusal is no trouble of the moment", async () => {
  const refusal = new AgentRuntimeError("VERSION_CONFLICT", "no");
  const patience = { signal, isPatient: () => true, onTrouble: () => undefined };
  await expect(patiently(failing([refusal]), patience)).rejects.toBe(refusal);
});

test("who is interrupted waits no longer", async () => {
  const user = new AbortController();
  const patience = { signal: user.signal, isPatient: () => true, onTrouble: () => user.abort() };
  await expect(patiently(failing([away, away]), patience)).rejects.toThrow("aborted");
});
