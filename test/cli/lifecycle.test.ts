import { expect, test } from "vitest";
import { POD_STORIES } from "../support/pod-stories.ts";
import { useService } from "./service.ts";

const service = useService();

test("a pod is shown by its uid, or by its agent, with what was told of it", async () => {
  const { facts } = POD_STORIES["a container that fails"]!;
  const response = await fetch(`${service.url}/v1/lifecycle/facts`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ facts }),
  });
  expect([response.status, await response.json()]).toEqual([202, { accepted: facts.length }]);
  const text = await service.output(["lifecycle", "alice"]);
  expect(text).toContain("agents/agent-7 (3f5c0a6e-uid)");
  expect(text).toMatch(/observed +failed, Error, exit code 2/);
  expect(text).toMatch(/^main +c-1 +2026-11-26T10:00:01.200Z +2026-11-26T10:00:09.000Z +2$/m);
  expect(await service.output(["lifecycle", "3f5c0a6e-uid"])).toBe(text);
  const json = JSON.parse(await service.output(["lifecycle", "alice", "--json"])) as object;
  expect(json).toMatchObject({ id: "pod:3f5c0a6e-uid", phase: "failed" });
  expect(await service.run(["lifecycle", "nobody"])).toMatchObject({ code: 4 });
});
