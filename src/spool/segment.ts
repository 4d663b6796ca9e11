import { readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";

const NAME = /^(\d{12})\.spool$/;

export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.spool`;
}

/** The number of a segment by its file's name; null if the file is not a segment. */
export function segmentNumber(name: string): number | null {
  const match = NAME.exec(name);
  return match === null ? null : Number(match[1]);
}

/** A record as a line of a segment, sealed by its sum. */
export function recordLine(record: string): string {
  return `${sumOf(record)} ${record}\n`;
}

/** What a segment still holds. What is torn or rotten is left out and counted. */
export async function readSegment(
  file: string,
): Promise<{ readonly records: string[]; readonly bytes: number; readonly damaged: number }> {
  const content = await readFile(file);
  const lines = content.toString("utf8").split("\n");
  // The last line ends in a line break as well; what follows it is empty, or torn.
  const torn = lines.pop() === "" ? 0 : 1;
  const records: string[] = [];
  for (const line of lines) {
    const record = line.slice(9);
    if (line[8] === " " && sumOf(record) === line.slice(0, 8)) records.push(record);
  }
  return {
    records,
    bytes: content.byteLength,
    damaged: lines.length - records.length + torn,
  };
}

function sumOf(record: string): string {
  return crc32(record).toString(16).padStart(8, "0");
}
