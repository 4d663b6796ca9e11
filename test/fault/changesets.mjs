// What the writers of the fault tests write. Plain JavaScript, as a child process runs it too.

const TRIOS = 64;
const HOT_STATES = 16;

/** The n-th changeset of a writer: its own state, one that all share, or three states of a scope. */
export function changesetOf({ name, fillBytes = 300 }, writer, count) {
  const data = { name, writer, count, fill: fillOf(writer + count, fillBytes) };
  const update = (id) => ({ op: "update", id, type: "shared", data });
  const idempotencyKey = `${name}-${writer}-${count}`;
  switch (count % 4) {
    case 0: {
      const scope = `trio-${(writer + count) % TRIOS}`;
      const changes = ["a", "b", "c"].map((part) => update(`${scope}-${part}`));
      return { scope, changes, idempotencyKey };
    }
    case 1:
      return { scope: "hot", changes: [update(`hot-${writer % HOT_STATES}`)], idempotencyKey };
    default:
      return { scope: `own-${writer}`, changes: [update(`own-${writer}`)], idempotencyKey };
  }
}

/** Text that no compression makes small: a full disk must be reached. */
function fillOf(seed, bytes) {
  let value = seed + 1;
  let text = "";
  while (text.length < bytes) {
    value = (value * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += value.toString(36);
  }
  return text;
}
