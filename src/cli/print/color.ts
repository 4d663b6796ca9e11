import type { Screen, Terminal } from "../terminal.ts";

export type Color = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

export type Paint = (color: Color, text: string) => string;

const CODES: Readonly<Record<Color, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
};

/** Colours for people who look: none in a pipe, none where NO_COLOR (https://no-color.org) is set. */
export function painter(screen: Screen, env: Terminal["env"]): Paint {
  const isColored = screen.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  if (!isColored) return (_, text) => text;
  return (color, text) => {
    const [on, off] = CODES[color];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  };
}
