import { readFileSync } from "node:fs";
import type { KubernetesObject } from "./objects.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly "x-kubernetes-group-version-kind"?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
}

/** What Kubernetes says of its objects: which fields there are, which must be, and of what type. */
export class KubernetesSchema {
  readonly #definitions: Readonly<Record<string, Schema>>;
  readonly #byKind = new Map<string, Schema>();

  constructor(file: string) {
    const { definitions } = JSON.parse(readFileSync(file, "utf8")) as {
      readonly definitions: Readonly<Record<string, Schema>>;
    };
    this.#definitions = definitions;
    for (const schema of Object.values(definitions)) {
      for (const { group, version, kind } of schema["x-kubernetes-group-version-kind"] ?? []) {
        const apiVersion = group === "" ? version : `${group}/${version}`;
        this.#byKind.set(`${apiVersion} ${kind}`, schema);
      }
    }
  }

  /** What is wrong with an object: fields that are not known as well, which an API server would drop in silence. */
  faultsOf(object: KubernetesObject): string[] {
    const { apiVersion, kind, metadata } = object;
    const schema = this.#byKind.get(`${apiVersion} ${kind}`);
    const where = `${kind} ${metadata.name}`;
    if (schema === undefined) return [`${where}: there is no ${apiVersion} ${kind}`];
    return this.#check(object, schema, where);
  }

  #check(value: unknown, given: Schema, where: string): string[] {
    const schema = this.#resolve(given);
    const { properties, additionalProperties, required = [], items } = schema;
    if (schema.format === "int-or-string") {
      return ["number", "string"].includes(typeof value) ? [] : [`${where}: no number, no text`];
    }
    if (!isOfType(value, schema))
      return [`${where}: ${JSON.stringify(value)} is no ${schema.type}`];
    if (Array.isArray(value)) {
      return value.flatMap((each, at) => this.#check(each, items ?? {}, `${where}[${at}]`));
    }
    if (typeof value !== "object" || value === null) return [];
    const missing = required.filter((field) => !(field in value));
    const inside = Object.entries(value).flatMap(([field, each]) => {
      const known = properties?.[field] ?? additionalProperties;
      const isOpen = properties === undefined && additionalProperties === undefined;
      if (known !== undefined) return this.#check(each, known, `${where}.${field}`);
      return isOpen ? [] : [`${where}: there is no field ${field}`];
    });
    return [...missing.map((field) => `${where}: ${field} is missing`), ...inside];
  }

  #resolve(schema: Schema): Schema {
    if (schema.$ref === undefined) return schema;
    return this.#definitions[schema.$ref.replace("#/definitions/", "")] ?? {};
  }
}

function isOfType(value: unknown, { type, properties }: Schema): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object" || properties !== undefined) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
  }
  // Quantities, times and the like are text of their own form.
  return type === undefined || typeof value === type;
}
