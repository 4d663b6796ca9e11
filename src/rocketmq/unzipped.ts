import { unzipSync } from "node:zlib";

const MAX_BODY_BYTES = 16 * 1024 * 1024; // a broker takes 4 MiB

/**
 * A body that a proxy calls gzip: it says so of whatever its sender compressed, and clients of RocketMQ's older protocol
 * do that in the format of zlib, of all above 4 KiB. As it came where it is neither: whoever reads it will say so.
 */
export function unzipped(body: Uint8Array): Uint8Array {
  try {
    return unzipSync(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch {
    return body;
  }
}
