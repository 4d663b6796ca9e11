import { describe } from "vitest";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { StateManager } from "../../src/manager/state-manager.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import { serve } from "../server/serve.ts";
import { describeOnHomes } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";
import { stateFaceContract } from "./state-face.ts";

interface Opened {
  readonly manager: StateManager;
  close(): Promise<void>;
}

async function openManager(home: TestHome): Promise<Opened> {
  const database = await home.createDatabase();
  const timeouts = { connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };
  await migrate({ address: { url: database.adminUrl }, ...timeouts });
  const store = openStateStore({
    ...{ address: { url: database.url }, ...timeouts },
    ...{ lanes: 2, readers: 4, dataBytes: 1_048_576 },
  });
  const manager = new StateManager({ store });
  return {
    manager,
    close: async () => {
      await manager.close();
      await database.drop();
    },
  };
}

describeOnHomes("the state manager", (home) => {
  stateFaceContract("the library", async () => {
    const { manager, close } = await openManager(home);
    return { face: manager, close };
  });

  describe("served", () => {
    stateFaceContract("the HTTP client", async () => {
      const opened = await openManager(home);
      const { manager } = opened;
      const served = await serve(manager, {
        feedHead: () => manager.feedHead(),
        readState: (id, options) => manager.readState(id, options),
      });
      const face = HttpStateClient.open({ url: served.url });
      return {
        face,
        close: async () => {
          await face.close();
          await served.close();
          await opened.close();
        },
      };
    });
  });
});
