import fc from "fast-check";
import { expect, test } from "vitest";
import { maskSecrets } from "./redact.ts";

test.each([
  ["postgres://app:hunter2@db:5432/main", "postgres://app:***@db:5432/main"],
  ["postgres://app:hun/ter#2@x@db/main", "postgres://app:***@db/main"],
  ["connect to redis://:hunter2@cache now", "connect to redis://:***@cache now"],
  [
    "postgres://db/main?user=app&password=hunter2&ssl=1",
    "postgres://db/main?user=app&password=***&ssl=1",
  ],
  ["host=db password=hunter2 user=app", "host=db password=*** user=app"],
  ["Authorization: Bearer abcdefgh.1234", "Authorization: Bearer ***"],
  ["no such key: sb_secret_a-b_C9, eyJhbGciOi.eyJyb2xl.c2lnbg-_", "no such key: ***, ***"],
  ['{"authorization":"Bearer abcdefgh"}', '{"authorization":"***"}'],
  ['{"Set-Cookie":["a=1","b=2"],"x":1}', '{"Set-Cookie":"***","x":1}'],
  [
    '{"auth":{"apiKey":"a\\"b"},"accessToken":123}',
    '{"auth":{"apiKey":"***"},"accessToken":"***"}',
  ],
])("%s is shown as %s", (text, shown) => {
  expect(maskSecrets(text)).toBe(shown);
});

test.each([
  "postgres://app@db:5432/main",
  '{"tokens":128,"url":"http://h:80/x","mail":"a@b.example"}',
  "Send a Bearer token",
])("%s holds no secret and stays as it is", (text) => {
  expect(maskSecrets(text)).toBe(text);
});

test("JSON stays JSON, and no password survives, wherever it stands", () => {
  const word = fc.stringMatching(/^[A-Za-z0-9!/#?&$%'"\\@:-]{1,20}$/);
  fc.assert(
    fc.property(word, fc.string(), (word, other) => {
      const password = `Zq7${word}7qZ`;
      const line = JSON.stringify({
        other,
        password,
        deep: [{ token: password }],
        url: `postgres://app:${password}@db/main`,
      });
      const shown = JSON.parse(maskSecrets(line)) as object;
      expect(JSON.stringify(shown)).not.toContain("Zq7");
    }),
  );
});
