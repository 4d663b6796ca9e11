import { PrivatePostgres } from "./private-postgres.ts";

/** A primary, a replica that follows it, and a server that knows neither, all of one test. */
export interface PrivateTrio {
  readonly main: PrivatePostgres;
  readonly readonly: PrivatePostgres;
  readonly rollback: PrivatePostgres;
  close(): Promise<void>;
}

/** Three running servers that a test may kill and freeze. */
export async function startPrivateTrio(): Promise<PrivateTrio> {
  const opened: PrivatePostgres[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((server) => server.close()));
  };
  const keep = (server: PrivatePostgres): PrivatePostgres => {
    opened.push(server);
    return server;
  };
  const startPair = async (): Promise<Pick<PrivateTrio, "main" | "readonly">> => {
    const main = keep(await PrivatePostgres.create());
    const readonly = keep(await main.copy());
    await main.start();
    await readonly.start();
    return { main, readonly };
  };
  const starts = [startPair(), PrivatePostgres.open().then(keep)] as const;
  await Promise.allSettled(starts); // so that nothing goes on after a failure
  try {
    const [pair, rollback] = await Promise.all(starts);
    return { ...pair, rollback, close };
  } catch (error) {
    await close();
    throw error;
  }
}
