import { createHash } from "node:crypto";

/** A file, folder or symbolic link of a tar archive. */
interface Entry {
  readonly path: string;
  readonly mode?: number;
  /** "0" a file, "2" a symbolic link, "5" a folder. */
  readonly kind?: "0" | "2" | "5";
  readonly link?: string;
  readonly data?: Buffer;
}

export interface ImageOptions {
  /** `localhost/busybox:local` */
  readonly name: string;
  /** A busybox that needs no library: all programs of the image are it. */
  readonly busybox: Buffer;
  /** What it runs where nobody says otherwise. */
  readonly entrypoint: readonly string[];
}

const PROGRAMS = ["sh", "sleep", "true", "false", "echo", "cat", "kill", "dd", "head", "tail"];
const BLOCK = 512;

/** An image of one layer as an archive that container runtimes import. */
export function ociImage({ name, busybox, entrypoint }: ImageOptions): Buffer {
  const folders = ["bin", "tmp", "proc", "sys", "dev", "etc"];
  const layer = tar([
    ...folders.map((path): Entry => ({ path, mode: 0o755, kind: "5" })),
    { path: "bin/busybox", mode: 0o755, data: busybox },
    ...PROGRAMS.map((each): Entry => ({ path: `bin/${each}`, kind: "2", link: "busybox" })),
    { path: "etc/passwd", data: Buffer.from("root:x:0:0:root:/:/bin/sh\n") },
  ]);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const config = json({
    architecture,
    os: "linux",
    config: { Env: ["PATH=/bin"], Entrypoint: entrypoint },
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: mediaType("manifest.v1+json"),
    config: referenceTo("config.v1+json", config),
    layers: [referenceTo("layer.v1.tar", layer)],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...referenceTo("manifest.v1+json", manifest),
        platform: { architecture, os: "linux" },
        annotations: { "io.containerd.image.name": name },
      },
    ],
  });
  return tar([
    { path: "oci-layout", data: json({ imageLayoutVersion: "1.0.0" }) },
    { path: "index.json", data: index },
    ...[layer, config, manifest].map((data): Entry => ({
      path: `blobs/sha256/${digestOf(data).slice(7)}`,
      data,
    })),
  ]);
}

function tar(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ data = Buffer.alloc(0), ...entry }) => [
    header(entry, data.length),
    data,
    Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header({ path, mode = 0o644, kind = "0", link = "" }: Entry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  block.write(path, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(" ".repeat(8), 148);
  block.write(kind, 156);
  block.write(link, 157);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\u0000 `, 148);
  return block;
}

function mediaType(kind: string): string {
  return `application/vnd.oci.image.${kind}`;
}

function referenceTo(kind: string, data: Buffer): object {
  return { mediaType: mediaType(kind), digest: digestOf(data), size: data.length };
}

function digestOf(data: Buffer): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
