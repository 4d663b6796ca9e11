type Defined<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } & {
  [Key in keyof Fields as undefined extends Fields[Key] ? never : Key]: Fields[Key];
};

/** The fields that are there: what a request left out must not be told as undefined. */
export function definedOnly<Fields extends object>(fields: Fields): Defined<Fields> {
  const defined: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) defined[name] = value;
  }
  return defined as Defined<Fields>;
}
