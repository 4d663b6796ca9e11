import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate, its key, and who vouches for it: files in PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly authority: string;
}

interface IssueOptions {
  readonly days?: number;
  readonly of?: string;
}

/** Whether there is an openssl to make certificates with. */
export function hasOpenssl(): boolean {
  try {
    execFileSync("openssl", ["version"], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

/** An authority of its own that makes certificates in a folder. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), "art-certificates-"));

  constructor() {
    this.#openssl("req", "-x509", ...NEW_KEY, ...out("ca"), "-days", "2", "-subj", "/CN=authority");
  }

  /**
   * @param days how long it is good; 0: it has ended.
   * @param of whose it is, as openssl writes alternative names.
   */
  issue(
    name: string,
    { days = 2, of = "IP:127.0.0.1,DNS:localhost" }: IssueOptions = {},
  ): CertificateFiles {
    const subject = ["-subj", `/CN=${name}`];
    this.#openssl("req", ...NEW_KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`, ...subject);
    writeFileSync(join(this.folder, "names"), `subjectAltName=${of}`);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
    const good = ["-days", String(days)];
    this.#openssl("x509", "-req", "-in", `${name}.csr`, ...by, ...good, "-out", `${name}.pem`);
    const [cert, key, authority] = [`${name}.pem`, `${name}.key`, "ca.pem"].map((file) =>
      join(this.folder, file),
    );
    return { cert: cert!, key: key!, authority: authority! };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: "pipe" });
  }
}

const NEW_KEY = ["-newkey", "rsa:2048", "-nodes"];

function out(name: string): string[] {
  return ["-keyout", `${name}.key`, "-out", `${name}.pem`];
}
