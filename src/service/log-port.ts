/** Writes one fact with its fields; pino's methods fit. */
export type LogWrite = (fields: object, message: string) => void;

/** What every part writes its log through. A pino logger is one; so is a test's own. */
export interface Logger {
  readonly debug: LogWrite;
  readonly info: LogWrite;
  readonly warn: LogWrite;
  readonly error: LogWrite;
}
