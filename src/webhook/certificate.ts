import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { AgentRuntimeError } from "../state/errors.ts";

/** What TLS is served with. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate and its key in two files that somebody else renews. */
export class Certificate {
  readonly #files: CertificateFiles;
  #pair: KeyPair;
  #notAfterMs: number;

  private constructor(files: CertificateFiles, pair: KeyPair) {
    this.#files = files;
    this.#pair = pair;
    this.#notAfterMs = endOf(files, pair);
  }

  /** @throws {AgentRuntimeError} INVALID_CONFIG: which file is not there, or why the two do not go together. */
  static async open(files: CertificateFiles): Promise<Certificate> {
    return new Certificate(files, await readPair(files));
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** When it ends, in milliseconds since 1970. */
  get notAfterMs(): number {
    return this.#notAfterMs;
  }

  /**
   * Looks at the files. True: they hold another pair, which counts from now on.
   *
   * @throws {AgentRuntimeError} INVALID_CONFIG: what is in them cannot be served; the former pair still counts. One of
   * them may have been written and the other not yet.
   */
  async refresh(): Promise<boolean> {
    const pair = await readPair(this.#files);
    if (pair.cert === this.#pair.cert && pair.key === this.#pair.key) return false;
    this.#notAfterMs = endOf(this.#files, pair);
    this.#pair = pair;
    return true;
  }
}

async function readPair({ certFile, keyFile }: CertificateFiles): Promise<KeyPair> {
  const [cert, key] = await Promise.all([
    read(certFile, "webhook.certFile"),
    read(keyFile, "webhook.keyFile"),
  ]);
  return { cert, key };
}

async function read(file: string, field: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw invalid(`${field}: ${(cause as Error).message}`, field, cause);
  }
}

/** When the certificate ends, of a pair that goes together. */
function endOf({ certFile, keyFile }: CertificateFiles, { cert, key }: KeyPair): number {
  const certificate = parsed(`webhook.certFile ${certFile}`, () => new X509Certificate(cert));
  const secret = parsed(`webhook.keyFile ${keyFile}`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(secret)) {
    const field = "webhook.keyFile";
    throw invalid(`the key in ${keyFile} is not that of the certificate in ${certFile}`, field);
  }
  return Date.parse(certificate.validTo);
}

function parsed<Value>(what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (cause) {
    const [field = ""] = what.split(" ");
    throw invalid(`${what} cannot be read as PEM: ${(cause as Error).message}`, field, cause);
  }
}

function invalid(why: string, field: string, cause?: unknown): AgentRuntimeError {
  return new AgentRuntimeError("INVALID_CONFIG", why, { field, ...(cause ? { cause } : {}) });
}
