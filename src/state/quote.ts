/**
 * The text in quotes, short and safe to print: for messages about what somebody sent.
 *
 * Control and format characters come out escaped, so that a hostile id can neither forge a line of
 * a log nor turn the direction of a terminal.
 */
export function quote(text: string, maxLength = 60): string {
  const short = text.length <= maxLength ? text : `${head(text, maxLength - 1)}…`;
  return printable(JSON.stringify(short));
}

/** The text with control and format characters escaped. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

/** At most `length` UTF-16 units of the text, never half a character. */
export function head(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
