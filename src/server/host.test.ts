import type { FastifyRequest } from "fastify";
import { expect, test } from "vitest";
import { checkHost, checkOrigin } from "./host.ts";

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

function writing(origin: string | undefined, method = "POST"): () => void {
  const headers = { origin, host: "localhost:8080" };
  return () => checkOrigin({ method, headers } as FastifyRequest);
}

test.each([undefined, "http://localhost:8080", "https://localhost:8080"])(
  "takes a write that comes from %s",
  (origin) => expect(writing(origin)).not.toThrow(),
);

test.each([
  "http://evil.example",
  "http://localhost:8081",
  "null",
  "http://localhost:8080.evil.example",
])("takes no write that comes from %s, and reads for it tell its page nothing", (origin) => {
  expect(writing(origin)).toThrow(expect.objectContaining({ code: "FORBIDDEN" }));
  expect(writing(origin, "GET")).not.toThrow();
});
