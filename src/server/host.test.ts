import type { FastifyRequest } from "fastify";
import { expect, test } from "vitest";
import { checkHost } from "./host.ts";

function asking(host: string | undefined): () => void {
  return () => checkHost({ headers: { host } } as FastifyRequest);
}

test.each([
  undefined,
  "localhost",
  "localhost:8080",
  "agents.localhost",
  "127.0.0.1:1",
  "[::1]:8080",
])("answers to %s", (host) => expect(asking(host)).not.toThrow());

test.each(["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]", ""])(
  "does not answer to %s",
  (host) => expect(asking(host)).toThrow(expect.objectContaining({ code: "FORBIDDEN" })),
);
