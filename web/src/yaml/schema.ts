/** Keys and values that a JSON Schema (2020-12, from schemars) allows at a path. */
import type { KeyPath } from "./cursor";

export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string | string[];
  description?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
}

/** A schema with its references and alternatives resolved, each once. */
function expandSchema(schema: JsonSchema, root: JsonSchema, seen = new Set<JsonSchema>()): JsonSchema[] {
  if (seen.has(schema)) return [];
  seen.add(schema);
  const name = schema.$ref?.replace("#/$defs/", "");
  const referred = name === undefined ? undefined : root.$defs?.[name];
  const others = [...(referred ? [referred] : []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [schema, ...others.flatMap((other) => expandSchema(other, root, seen))];
}

/** All schemas that apply at a path. */
function schemasAt(root: JsonSchema, path: KeyPath): JsonSchema[] {
  let here = expandSchema(root, root);
  for (const step of path) {
    const next = here.flatMap((schema) => {
      if (step === "[]") return schema.items ? [schema.items] : [];
      const known = schema.properties?.[step];
      if (known) return [known];
      return typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
    });
    here = next.flatMap((schema) => expandSchema(schema, root));
  }
  return here;
}

export interface KeyOption {
  name: string;
  about: string;
  required: boolean;
  /** Type of its value. */
  holds: "object" | "array" | "value";
}

function schemaTypes(schemas: JsonSchema[]): Set<string> {
  return new Set(schemas.flatMap((schema) => schema.type ?? []));
}

/** Keys of the mapping at a path, required keys first. */
export function keysAt(root: JsonSchema, path: KeyPath): KeyOption[] {
  const options = new Map<string, KeyOption>();
  for (const schema of schemasAt(root, path)) {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const all = expandSchema(property, root);
      const kinds = schemaTypes(all);
      const simple = kinds.has("string") || kinds.has("integer") || kinds.has("boolean");
      const holds = kinds.has("array") && !simple ? "array" : kinds.has("object") && !simple ? "object" : "value";
      const about = all.find((one) => one.description)?.description ?? "";
      options.set(name, { name, about, required: schema.required?.includes(name) ?? false, holds });
    }
  }
  return [...options.values()].sort((a, b) => Number(b.required) - Number(a.required));
}

export interface ValueOption {
  value: string;
  about: string;
}

/** Values that the schema enumerates at a path. */
export function valuesAt(root: JsonSchema, path: KeyPath): ValueOption[] {
  const all = schemasAt(root, path);
  const options = new Map<string, string>();
  for (const schema of all) {
    for (const value of [...(schema.enum ?? []), ...(schema.const === undefined ? [] : [schema.const])]) {
      if (value !== null) options.set(typeof value === "string" ? value : JSON.stringify(value), schema.description ?? "");
    }
  }
  if (schemaTypes(all).has("boolean")) {
    options.set("true", "");
    options.set("false", "");
  }
  return [...options].map(([value, about]) => ({ value, about }));
}
