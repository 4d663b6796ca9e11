// Many changes at once are one look.

const GATHER_MS = 300;

/** A function that has `work` run soon, once however often it is called; not after `signal` aborts. */
export function gather(signal, work) {
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void look(signal, work);
    }, GATHER_MS);
  };
}

/** What fails here was only to be drawn anew: the next change tries again. */
async function look(signal, work) {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) console.warn(error);
  }
}
