import { isIPv4 } from "node:net";
import { maskSecrets } from "../service/redact.ts";
import { accepted, refused } from "./kinds.ts";
import type { Kind, Parsed } from "./kinds.ts";

/** Whether an URL is that of a Data API, which needs a key. */
export function isDataApi(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  return host === "::1" || host === "[::1]" || host.toLowerCase() === "localhost";
}

/** A database: the connection string of PostgreSQL, or the URL of a Data API; or nothing. */
export function databaseUrl(): Kind<string> {
  const domain = "a postgres:// URL, the https:// URL of a Data API, or empty";
  return {
    domain,
    parse(raw) {
      if (raw === "") return accepted("");
      if (typeof raw !== "string") return refused(`must be ${domain}, as text`);
      if (isDataApi(raw)) return parseDataApi(raw);
      if (!/^postgres(ql)?:\/\//i.test(raw)) return refused(`must be ${domain}`);
      if (!URL.canParse(raw)) {
        return refused(
          "is not a URL that can be read: write special characters " +
            "of its password as %XX (a # as %23, a / as %2F)",
        );
      }
      return accepted(raw);
    },
    show: maskUrl,
  };
}

/** A DragonflyDB, or nothing. */
export function redisUrl(): Kind<string> {
  const domain = "a redis:// or rediss:// URL, or empty";
  return {
    domain,
    parse(raw) {
      if (raw === "") return accepted("");
      if (typeof raw !== "string" || !/^rediss?:\/\//i.test(raw)) {
        return refused(`must be ${domain}`);
      }
      const url = URL.canParse(raw) ? new URL(raw) : undefined;
      if (url === undefined || url.hostname === "") {
        return refused(
          "is not a URL that can be read: write special characters " +
            "of its password as %XX (a # as %23, a / as %2F)",
        );
      }
      if (!/^(\/\d{0,4})?$/.test(url.pathname)) {
        return refused("ends with the number of a database or with nothing");
      }
      return accepted(raw);
    },
    show: maskUrl,
  };
}

function parseDataApi(raw: string): Parsed<string> {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  if (url === undefined) return refused("is not a URL that can be read");
  const { protocol, hostname, username, password, search, hash } = url;
  if (username + password + search + hash !== "") {
    return refused(
      "is the URL of a Data API: it has no user, password or parameters; its key has a setting of its own",
    );
  }
  if (protocol === "http:" && !isLoopback(hostname)) {
    return refused("would send its key in the clear: begin it with https://");
  }
  return accepted(raw);
}

const KEY = /^[\w.~+/=-]{1,4096}( [\w-]+\.[\w-]+\.[\w-]*)?$/;

/** What opens a Data API, or nothing. Nothing of it is ever told. */
export function dataApiKey(): Kind<string> {
  const domain =
    'a key of the Data API, or a key and a JWT with a blank between them ("KEY JWT"), or empty';
  return {
    domain,
    parse(raw) {
      if (raw === "") return accepted("");
      if (typeof raw !== "string" || !KEY.test(raw)) return refused(`must be ${domain}`);
      if (/^sb_publishable_\S*$/.test(raw)) {
        return refused(
          "is a publishable key, which opens nothing here: give a secret key, or a JWT behind it",
        );
      }
      return accepted(raw);
    },
    show: (value) => (value === "" ? "" : "***"),
  };
}

/** Written anew first: then every odd character of the password stands as %XX. */
function maskUrl(text: string): string {
  return maskSecrets(URL.canParse(text) && !isDataApi(text) ? new URL(text).href : text);
}
