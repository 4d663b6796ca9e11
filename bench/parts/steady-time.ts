/** The steady clock, which all processes of a machine share; in milliseconds. */
export function steadyMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
