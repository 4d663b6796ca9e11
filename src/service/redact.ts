/** The password in the authority of a URL; quotes only where they are escaped, so JSON stays JSON. */
const URL_PASSWORD = /([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@"]{0,200}:)(?:[^\s"\\]|\\.)*@/gi;
const PARAMETER = /\b(\w*(?:password|passwd|pwd|secret|token|apikey|api_key)=)[^\s&"',;]+/gi;
const FIELD =
  /("[^"\\]{0,40}(?:password|passwd|secret|token|apikey|api_key|authorization|cookie)"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\[\s*(?:"(?:[^"\\]|\\.)*"[\s,]*)*\])/gi;
const AUTHORIZATION = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;

/**
 * The text with every secret in it as `***`: passwords in URLs and connection strings, fields and
 * parameters that are named like one, and credentials of an Authorization header.
 *
 * JSON stays JSON. It errs on the side of hiding too much.
 */
export function maskSecrets(text: string): string {
  return text
    .replace(FIELD, '$1"***"')
    .replace(AUTHORIZATION, "$1 ***")
    .replace(URL_PASSWORD, "$1***@")
    .replace(PARAMETER, "$1***");
}
