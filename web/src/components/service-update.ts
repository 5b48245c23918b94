/** Changes of a service's image and environment, as an API request and as a command. */
import type { Schemas, Service, Stack } from "../api/client";
import { isJob, type HealthState } from "../api/health";
import { shellQuote } from "../format";

export type ServiceDefinition = Schemas["ServiceDefinition"];
export type ServiceUpdate = Schemas["ServiceUpdate"];

/** An environment variable in the form. */
export interface VariableRow {
  /** Key of the row, unique in the form. */
  id: number;
  name: string;
  value: string;
}

/** The user's input for a service. */
export interface ServiceForm {
  image: string;
  rows: VariableRow[];
}

/** The form filled with a service's current definition. */
export function serviceForm(has: ServiceDefinition): ServiceForm {
  return { image: has.image, rows: Object.entries(has.environment).map(([name, value], id) => ({ id, name, value })) };
}

/** The difference between the form and a service's current definition. */
export function serviceChanges(has: ServiceDefinition, form: ServiceForm): ServiceUpdate {
  const environment: Record<string, string | null> = {};
  const named = form.rows.filter((row) => row.name !== "");
  for (const { name, value } of named) if (has.environment[name] !== value) environment[name] = value;
  for (const name of Object.keys(has.environment)) if (!named.some((row) => row.name === name)) environment[name] = null;
  const image = form.image.trim();
  return { image: image === has.image ? null : image, environment };
}

/** Whether an update changes nothing. */
export function isUnchanged(change: ServiceUpdate): boolean {
  return change.image == null && Object.keys(change.environment).length === 0;
}

/** Ids of the rows with a duplicate or invalid name. */
export function invalidNames(rows: VariableRow[]): Set<number> {
  const bad = rows.filter((row) => row.name.includes("=") || (row.name !== "" && rows.some((other) => other.id < row.id && other.name === row.name)));
  return new Set(bad.map((row) => row.id));
}

/** The equivalent `stackyard stack update` command. */
export function updateCommand(stack: Stack, service: string, change: ServiceUpdate): string {
  const words = ["stackyard stack update", "--yard", shellQuote(stack.yard), shellQuote(stack.name), shellQuote(service)];
  if (change.image != null) words.push("--image", shellQuote(change.image));
  for (const [name, value] of Object.entries(change.environment)) {
    if (value === null) words.push("--env-rm", shellQuote(name));
    else words.push("--env", shellQuote(`${name}=${value}`));
  }
  return words.join(" ");
}

/** Progress of a service toward its last deployed version. */
export interface RolloutProgress {
  state: HealthState;
  /** Ready containers of the newest generation, and the desired number. */
  done: number;
  all: number;
}

export function rolloutProgress(stack: Stack, service: Service | undefined): RolloutProgress {
  const behind = stack.status.version !== stack.versions[0]?.number;
  const state = behind ? "progressing" : stack.status.health;
  if (!service) return { state, done: 0, all: 0 };
  const works = service.replicas.filter((one) => one.generation === service.generation && one.health === "ready");
  const done = behind ? 0 : isJob(service) ? service.ready : works.length;
  return { state, done: Math.min(done, service.desired), all: service.desired };
}
