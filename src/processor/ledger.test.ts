import { expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

test.each([undefined, 7, null, "run.sleep"])(
  "%j as the key of an effect is refused before anything is asked",
  async (key) => {
    const ledger = new Ledger(undefined as never);
    await expect(ledger.begin(key as string)).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      facts: { field: "key" },
    });
  },
);
