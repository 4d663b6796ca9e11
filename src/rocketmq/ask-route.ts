import { Client } from "./client.ts";
import type { ConnectionSettings } from "./settings.ts";
import { CLIENT_TYPE } from "./wire/types.ts";

/**
 * Asks a proxy where a topic is: it was reached, and took the credentials.
 *
 * @throws {RocketmqError} UNAVAILABLE, FORBIDDEN, and where there is no such topic.
 */
export async function askRoute(settings: ConnectionSettings, topic: string): Promise<void> {
  const publishing = { topics: [], maxBodySize: 0, validateMessageType: true };
  const client = new Client(settings, {
    clientType: CLIENT_TYPE.producer,
    pubSub: { publishing },
  });
  try {
    await client.queuesOf(topic);
  } finally {
    await client.close();
  }
}
