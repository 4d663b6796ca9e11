/** The password in the authority of a URL; quotes only where they are escaped, so JSON stays JSON. */
const URL_PASSWORD = /([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@"]{0,200}:)(?:[^\s"\\]|\\.)*@/gi;
const PARAMETER = /\b(\w*(?:password|passwd|pwd|secret|token|apikey|api_key)=)[^\s&"',;]+/gi;
const FIELD =
  /("[^"\\]{0,40}(?:password|passwd|secret|token|apikey|api_key|authorization|cookie)"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\[\s*(?:"(?:[^"\\]|\\.)*"[\s,]*)*\])/gi;
/** Keys of a Data API, wherever they stand: new ones, and JWTs. */
const API_KEY = /\b(?:sb_secret_[\w-]+|eyJ[\w-]{6,}\.[\w-]+\.[\w-]*)/g;
const AUTHORIZATION = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;

/**
 * The text with every secret in it as `***`: passwords in URLs and connection strings, fields and
 * parameters that are named like one, credentials of an Authorization header, and keys that show what they are.
 *
 * JSON stays JSON. It errs on the side of hiding too much.
 */
export function maskSecrets(text: string): string {
  return text
    .replace(FIELD, '$1"***"')
    .replace(AUTHORIZATION, "$1 ***")
    .replace(API_KEY, "***")
    .replace(URL_PASSWORD, "$1***@")
    .replace(PARAMETER, "$1***");
}
