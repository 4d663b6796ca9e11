import { describe, test } from "vitest";
import { StateManager } from "../../src/manager/state-manager.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import { openLite } from "../support/supabase-lite.ts";
import {
  describeOnPrivateServers,
  openSupabase,
  privateEmbeddedDatabases,
  wayTo,
} from "../support/supabase.ts";
import { stateFaceContract } from "./state-face.ts";
import { taskFaceContract } from "./task-face.ts";

describeOnPrivateServers("the state manager over a Data API", (createDatabase) => {
  stateFaceContract("the library", async () => {
    const supabase = await openSupabase(createDatabase);
    return { face: supabase.openManager(), close: () => supabase.close() };
  });
  taskFaceContract("the library", async () => {
    const supabase = await openSupabase(createDatabase);
    return { face: supabase.openManager(), close: () => supabase.close() };
  });
});

describe("the state manager over somebody else's Data API, @supabase/lite", () => {
  const createDatabase = privateEmbeddedDatabases();
  stateFaceContract("the library", async () => {
    const supabase = await openSupabase(createDatabase);
    const lite = await openLite(supabase);
    const face = supabase.openManager({ url: lite.url });
    return {
      face,
      close: async () => {
        await face.close();
        await lite.close(); // It would wait for ever for a database that is gone.
        await supabase.close();
      },
    };
  });
});

// Where one is named: `agent_runtime state migrate` has been there, and its schema is exposed. Few have one, so that
// CI=true does not ask for it.
describe("the state manager over the Data API of a real project", () => {
  const { SUPABASE_TEST_URL: url, SUPABASE_TEST_KEY: key } = process.env;
  if (url !== undefined && key !== undefined) realProject(url, key);
  else noProject();
});

function realProject(url: string, key: string): void {
  stateFaceContract("the library", async () => {
    const store = openStateStore({ ...wayTo({ url, key }), dataBytes: 1_048_576, dataDepth: 64 });
    const face = new StateManager({ store, pollMs: 200 });
    return { face, close: () => face.close() };
  });
}

function noProject(): void {
  test("is named", (context) => {
    context.skip("SUPABASE_TEST_URL and SUPABASE_TEST_KEY name no project");
  });
}
