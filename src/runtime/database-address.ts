import type { Config } from "../config/options.ts";
import { isDataApi } from "../config/database-kinds.ts";
import type { DatabaseAddress } from "../supabase/transport.ts";

/** What each database is for. */
export type DatabaseRole = "main" | "readonly" | "rollback";

/** Where the configuration has a database; null where it names none. */
export function databaseAddress(
  { supabase }: Pick<Config, "supabase">,
  role: DatabaseRole,
): DatabaseAddress | null {
  const url = supabase[role];
  if (url === "") return null;
  if (!isDataApi(url)) return { url };
  return { dataApi: { url, key: supabase[`${role}Key`], setting: `supabase.${role}` } };
}
