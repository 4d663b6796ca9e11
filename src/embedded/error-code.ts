/** The system's name for what went wrong ("ENOENT", "EACCES"), or what comes nearest to one. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
