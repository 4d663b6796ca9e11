/** What to do about a database whose schema a Data API cannot bring up to date. */
export const SCHEMA_ADVICE =
  "A Data API cannot migrate: run `agent_runtime state migrate --database-url postgres://...` with a direct or session connection, " +
  "or put what `agent_runtime state migrate --dump-sql supabase/migrations` writes among your own migrations; " +
  "and add `agent_state_api` to the exposed schemas of the Data API.";
