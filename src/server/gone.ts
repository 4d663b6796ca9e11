import type { ServerResponse } from "node:http";

/**
 * Calls back once, when the answer is over or nobody is there any more to get it.
 *
 * An answer that waits behind another one of its connection is not told when that connection closes: so the
 * connection is asked as well.
 */
export function onGone(response: ServerResponse, callBack: () => void): void {
  const { socket } = response.req;
  const told = (): void => {
    socket.off("close", told);
    response.off("close", told);
    callBack();
  };
  socket.once("close", told);
  response.once("close", told);
}
