import { createHash } from "node:crypto";
import type { IncomingMessage, OutgoingMessage } from "../state/message-bus.ts";
import type { WireMessage } from "./wire/types.ts";

/** Carries the group as it is, where RocketMQ takes only its digest. */
const GROUP_PROPERTY = "agentruntime_group";
const MAX_GROUP_BYTES = 64;
/** Added by the broker; not the sender's. */
const OF_THE_BROKER = /^__/;

type Names = Pick<IncomingMessage, "group" | "tag" | "keys" | "properties">;

/** The names of a message as RocketMQ takes them: it splits keys at spaces, and groups are short. */
export function namesOf({ group, tag, keys = [], properties = {} }: OutgoingMessage): Names {
  const isPlain = group === undefined || isPlainGroup(group);
  return {
    group: isPlain ? group : digestOf(group),
    tag: tag === undefined ? undefined : escaped(tag),
    keys: keys.map(escaped),
    properties: isPlain ? properties : { ...properties, [GROUP_PROPERTY]: escaped(group) },
  };
}

/** The names as they were when the message was sent. */
export function originalsOf({ systemProperties: system, userProperties }: WireMessage): Names {
  const { [GROUP_PROPERTY]: group, ...properties } = userProperties;
  const own = Object.entries(properties).filter(([name]) => !OF_THE_BROKER.test(name));
  return {
    group: group === undefined ? system.messageGroup || undefined : unescaped(group),
    tag: system.tag === undefined || system.tag === "" ? undefined : unescaped(system.tag),
    keys: system.keys.map(unescaped),
    properties: Object.fromEntries(own),
  };
}

function isPlainGroup(group: string): boolean {
  return Buffer.byteLength(group) <= MAX_GROUP_BYTES && /^[!-~]+$/.test(group);
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Without spaces, control characters and the mark between tags. */
function escaped(text: string): string {
  return text.replaceAll(/[\s\p{C}%|]/gu, (character) => encodeURIComponent(character));
}

/** What others sent may look escaped and not be. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
