/** Changes of a service: what was entered, as the server is told it and as the command line says it. */
import type { Schemas, Service, Stack } from "../api/client";
import { isJob, replicaState, type State } from "../api/health";
import { shell } from "../format";

export type Definition = Schemas["ServiceDefinition"];
export type Update = Schemas["ServiceUpdate"];

/** A variable in the form. */
export interface Row {
  /** Unique in the form. */
  id: number;
  name: string;
  value: string;
}

/** What was entered for a service. */
export interface Entered {
  image: string;
  rows: Row[];
}

/** What a service has so far. */
export function entered(has: Definition): Entered {
  return { image: has.image, rows: Object.entries(has.environment).map(([name, value], id) => ({ id, name, value })) };
}

/** What differs from what the service has. */
export function update(has: Definition, form: Entered): Update {
  const environment: Record<string, string | null> = {};
  const named = form.rows.filter((row) => row.name !== "");
  for (const { name, value } of named) if (has.environment[name] !== value) environment[name] = value;
  for (const name of Object.keys(has.environment)) if (!named.some((row) => row.name === name)) environment[name] = null;
  const image = form.image.trim();
  return { image: image === has.image ? null : image, environment };
}

/** Whether nothing would be another. */
export function isNothing(change: Update): boolean {
  return change.image == null && Object.keys(change.environment).length === 0;
}

/** Names that come twice, or that none can have. */
export function badNames(rows: Row[]): Set<number> {
  const bad = rows.filter((row) => row.name.includes("=") || (row.name !== "" && rows.some((other) => other.id < row.id && other.name === row.name)));
  return new Set(bad.map((row) => row.id));
}

/** The command line that does the same. */
export function updateCommand(stack: Stack, service: string, change: Update): string {
  const words = ["stackyard stack update", "--yard", shell(stack.yard), shell(stack.name), shell(service)];
  if (change.image != null) words.push("--image", shell(change.image));
  for (const [name, value] of Object.entries(change.environment)) {
    if (value === null) words.push("--env-rm", shell(name));
    else words.push("--env", shell(`${name}=${value}`));
  }
  return words.join(" ");
}

/** How far a service is on its way to what was deployed last. */
export interface Rolling {
  state: State;
  /** Containers of the newest generation that work, of all that there are to be. */
  done: number;
  all: number;
}

export function rolling(stack: Stack, service: Service | undefined): Rolling {
  const behind = stack.status.version !== stack.versions[0]?.number;
  const standing = behind ? "working" : stack.status.standing;
  const state = ({ converged: "ok", working: "working", failing: "failing", failed: "failed" } as const)[standing];
  if (!service) return { state, done: 0, all: 0 };
  const works = service.replicas.filter((one) => one.generation === service.generation && replicaState(one, service) === "ok");
  const done = behind ? 0 : isJob(service) ? service.ready : works.length;
  return { state, done: Math.min(done, service.desired), all: service.desired };
}
