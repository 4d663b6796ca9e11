/** Where a Data API is, and with which key. */
export interface DataApiAddress {
  /** The project's URL, `https://<ref>.supabase.co`; or that of a PostgREST with its path. */
  readonly url: string;
  /** A secret key, or a JWT; where the two differ, the key, a blank, and the JWT. */
  readonly key: string;
  /** How errors call the URL; the key is called the same with `Key` behind it. */
  readonly setting: string;
}

/** Up to where `/rpc/...` follows. */
export function restUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + (pathname === "/" ? "/rest/v1" : pathname.replace(/\/+$/, ""));
}

/**
 * The headers that show a key.
 *
 * New keys (`sb_...`) are no JWTs: they stand in `apikey` alone. A JWT says in its claims who the caller
 * is: it is the bearer as well, and may come with the key of somebody else.
 */
export function keyHeaders(key: string): Readonly<Record<string, string>> {
  const [apikey = "", jwt = apikey] = key.split(" ");
  return JWT.test(jwt) ? { apikey, authorization: `Bearer ${jwt}` } : { apikey };
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;
