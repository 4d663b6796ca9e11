/**
 * The first UPDATE or DELETE without WHERE in a piece of SQL; undefined where there is none.
 *
 * It stands for pg_safeupdate, which a Supabase loads for its Data API and which refuses such a statement when it is
 * run, also inside of functions.
 */
export function unsafeStatement(sql: string): "UPDATE" | "DELETE" | undefined {
  const words = wordsOf(sql);
  for (const [at, word] of words.entries()) {
    const kind = kindOf(words, at, word);
    if (kind !== undefined && !hasWhere(words, at)) return kind;
  }
  return undefined;
}

/** Words and marks in lower case, without comments, strings and quoted names. */
function wordsOf(sql: string): string[] {
  const bare = sql.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"/g, " x ");
  return bare.toLowerCase().match(/[a-z_][\w$.]*|[();]/g) ?? [];
}

function kindOf(
  words: readonly string[],
  at: number,
  word: string,
): "UPDATE" | "DELETE" | undefined {
  if (word === "delete" && words[at + 1] === "from") return "DELETE";
  // Not `for update`, `on conflict do update` and `before update of`.
  const before = words[at - 1] ?? ";";
  const starts = [";", "(", "begin", "then", "else", "loop"].includes(before);
  return word === "update" && starts ? "UPDATE" : undefined;
}

/** Whether a `where` belongs to the statement that begins at a word. */
function hasWhere(words: readonly string[], start: number): boolean {
  let depth = 0;
  for (const word of words.slice(start)) {
    if (word === "(") depth++;
    else if (word === ")") depth--;
    if (depth < 0 || (depth === 0 && word === ";")) return false;
    if (depth === 0 && word === "where") return true;
  }
  return false;
}
