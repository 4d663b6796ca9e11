import { codecsOf } from "../../grpc/codec.ts";
import type { MessageTable } from "../../grpc/codec.ts";

/**
 * The part of RocketMQ's public protocol (`apache.rocketmq.v2`) that is used here. Numbers and types are
 * the protocol's; a test compares them with the official definition.
 */
export const MESSAGES: MessageTable = {
  Duration: { seconds: ["int64", 1], nanos: ["int32", 2] },
  Timestamp: { seconds: ["int64", 1], nanos: ["int32", 2] },
  Status: { code: ["int32", 1], message: ["string", 2] },
  Resource: { resourceNamespace: ["string", 1], name: ["string", 2] },
  FilterExpression: { type: ["int32", 1], expression: ["string", 2] },
  SubscriptionEntry: { topic: ["Resource", 1], expression: ["FilterExpression", 2] },
  Address: { host: ["string", 1], port: ["int32", 2] },
  Endpoints: { scheme: ["int32", 1], addresses: ["Address[]", 2] },
  Broker: { name: ["string", 1], id: ["int32", 2], endpoints: ["Endpoints", 3] },
  MessageQueue: {
    topic: ["Resource", 1],
    id: ["int32", 2],
    permission: ["int32", 3],
    broker: ["Broker", 4],
    acceptMessageTypes: ["int32[]", 5],
  },
  SystemProperties: {
    tag: ["string", 1],
    keys: ["string[]", 2],
    messageId: ["string", 3],
    bodyEncoding: ["int32", 5],
    messageType: ["int32", 6],
    bornTimestamp: ["Timestamp", 7],
    bornHost: ["string", 8],
    receiptHandle: ["string", 12],
    queueId: ["int32", 13],
    deliveryAttempt: ["int32", 16],
    messageGroup: ["string", 17],
  },
  Message: {
    topic: ["Resource", 1],
    userProperties: ["string{}", 2],
    systemProperties: ["SystemProperties", 3],
    body: ["bytes", 4],
  },
  UA: {
    language: ["int32", 1],
    version: ["string", 2],
    platform: ["string", 3],
    hostname: ["string", 4],
  },
  Publishing: {
    topics: ["Resource[]", 1],
    maxBodySize: ["int32", 2],
    validateMessageType: ["bool", 3],
  },
  Subscription: {
    group: ["Resource", 1],
    subscriptions: ["SubscriptionEntry[]", 2],
    fifo: ["bool", 3],
    receiveBatchSize: ["int32", 4],
    longPollingTimeout: ["Duration", 5],
  },
  Settings: {
    clientType: ["int32", 1],
    accessPoint: ["Endpoints", 2],
    requestTimeout: ["Duration", 4],
    publishing: ["Publishing", 5],
    subscription: ["Subscription", 6],
    userAgent: ["UA", 7],
  },
  TelemetryCommand: { status: ["Status", 1], settings: ["Settings", 2] },
  QueryRouteRequest: { topic: ["Resource", 1], endpoints: ["Endpoints", 2] },
  QueryRouteResponse: { status: ["Status", 1], messageQueues: ["MessageQueue[]", 2] },
  HeartbeatRequest: { group: ["Resource", 1], clientType: ["int32", 2] },
  HeartbeatResponse: { status: ["Status", 1] },
  SendMessageRequest: { messages: ["Message[]", 1] },
  SendResultEntry: { status: ["Status", 1], messageId: ["string", 2] },
  SendMessageResponse: { status: ["Status", 1], entries: ["SendResultEntry[]", 2] },
  ReceiveMessageRequest: {
    group: ["Resource", 1],
    messageQueue: ["MessageQueue", 2],
    filterExpression: ["FilterExpression", 3],
    batchSize: ["int32", 4],
    invisibleDuration: ["Duration", 5],
    autoRenew: ["bool", 6],
    longPollingTimeout: ["Duration", 7],
    attemptId: ["string", 8],
  },
  ReceiveMessageResponse: { status: ["Status", 1], message: ["Message", 2] },
  AckMessageEntry: { messageId: ["string", 1], receiptHandle: ["string", 2] },
  AckMessageRequest: {
    group: ["Resource", 1],
    topic: ["Resource", 2],
    entries: ["AckMessageEntry[]", 3],
  },
  AckMessageResultEntry: {
    messageId: ["string", 1],
    receiptHandle: ["string", 2],
    status: ["Status", 3],
  },
  AckMessageResponse: { status: ["Status", 1], entries: ["AckMessageResultEntry[]", 2] },
  ChangeInvisibleDurationRequest: {
    group: ["Resource", 1],
    topic: ["Resource", 2],
    receiptHandle: ["string", 3],
    invisibleDuration: ["Duration", 4],
    messageId: ["string", 5],
  },
  ChangeInvisibleDurationResponse: { status: ["Status", 1], receiptHandle: ["string", 2] },
  NotifyClientTerminationRequest: { group: ["Resource", 1] },
  NotifyClientTerminationResponse: { status: ["Status", 1] },
};

/** The codec of a type of `MESSAGES`. */
export const codecOf = codecsOf(MESSAGES);
