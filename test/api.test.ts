import { expect, test } from "vitest";
import * as library from "../src/index.ts";

test("the library exports these names and no others", () => {
  expect(Object.keys(library).toSorted()).toEqual([
    "AgentRuntimeError",
    "ChildFailed",
    "ERROR_STATUS",
    "HttpStateClient",
    "RunInterrupted",
    "StateConsumer",
    "StateManager",
    "fromA2a",
    "fromMcp",
    "standingOf",
    "startRuntime",
    "toA2a",
    "toMcp",
  ]);
});
