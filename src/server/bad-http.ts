import type { Socket } from "node:net";
import { AgentRuntimeError } from "../state/errors.ts";
import { PROBLEM_TYPE, problemOf } from "./problem.ts";

/** Answers what the HTTP parser could not read, and closes the connection. */
export function answerBadHttp(error: Error & { code?: string }, socket: Socket): void {
  // The other side is gone, or an answer is under way: nothing can be said.
  if (error.code === "ECONNRESET" || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [line, why] = refusalOf(error.code);
  const body = JSON.stringify({
    ...problemOf(new AgentRuntimeError("INVALID_REQUEST", why)),
    status: Number(line.slice(0, 3)),
  });
  socket.end(
    `HTTP/1.1 ${line}\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function refusalOf(code: string | undefined): readonly [line: string, why: string] {
  if (code === "HPE_HEADER_OVERFLOW") {
    return ["431 Request Header Fields Too Large", "URL and headers are longer than 16 KiB"];
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return ["408 Request Timeout", "the request did not come in whole in time; send it faster"];
  }
  return ["400 Bad Request", "this is not HTTP/1.1"];
}
