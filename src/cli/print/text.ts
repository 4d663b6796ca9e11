const segmenter = new Intl.Segmenter();

/** Characters that take two columns: East Asian wide and full-width ones, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

const PLAIN = /^[\x20-\x7e]*$/;

/** The text without what would move the cursor, turn the direction or forge a line of a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, escaped);
}

/** The same for text of several lines: line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
    character === "\n" || character === "\t" ? character : escaped(character),
  );
}

/** How many columns of a terminal the text takes. */
export function columnsOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of segmenter.segment(text)) columns += columnsOfCharacter(segment);
  return columns;
}

/** The text in at most `columns` columns; what does not fit ends in `…`. */
export function truncate(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of segmenter.segment(text)) {
    const next = used + columnsOfCharacter(segment);
    if (next > columns - 1) break;
    kept += segment;
    used = next;
  }
  return `${kept}…`;
}

/** The text filled with blanks to `columns` columns, before or behind. */
export function pad(text: string, columns: number, side: "left" | "right" = "right"): string {
  const blanks = " ".repeat(Math.max(0, columns - columnsOf(text)));
  return side === "right" ? text + blanks : blanks + text;
}

function columnsOfCharacter(character: string): number {
  if (/^\p{M}+$/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
