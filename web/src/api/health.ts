/** Health of hosts, containers, stacks and yards, as the server says it. Each has an icon, a colour and a text. */
import type { Host, Schemas, Service, Stack } from "./client";

/** The API's vocabulary, and `waiting` for steps that have not begun and for notes. */
export type HealthState = Schemas["Health"] | "waiting";

/** Health from best to worst. A group has the worst health of its members. */
export const HEALTH_STATES: Schemas["Health"][] = ["ready", "draining", "progressing", "unknown", "missing", "degraded", "failed"];

export function worstState(states: Schemas["Health"][]): Schemas["Health"] {
  return states.reduce((worst, s) => (HEALTH_STATES.indexOf(s) > HEALTH_STATES.indexOf(worst) ? s : worst), "ready");
}

export function stackState(stack: Stack): Schemas["Health"] {
  return stack.removing ? "progressing" : stack.status.health;
}

export function isJob(service: Service): boolean {
  return service.mode.endsWith("-job");
}

export interface YardGroup {
  name: string;
  hosts: Host[];
  stacks: Stack[];
  state: Schemas["Health"];
}

/** Yards that have a manifest, a host or a stack. */
export function groupByYard(names: string[], hosts: Host[], stacks: Stack[]): YardGroup[] {
  const all = new Set([...names, ...hosts.map((h) => h.yard), ...stacks.map((s) => s.yard)]);
  return [...all].sort().map((name) => {
    const own = { hosts: hosts.filter((h) => h.yard === name), stacks: stacks.filter((s) => s.yard === name) };
    return { name, ...own, state: worstState([...own.hosts.map((h) => h.health), ...own.stacks.map(stackState)]) };
  });
}

/** Ready and desired containers of a stack. */
export function replicaCounts(stack: Stack): { ready: number; desired: number } {
  const sum = (of: (s: Service) => number) => stack.status.services.reduce((n, s) => n + of(s), 0);
  return { ready: sum((s) => s.ready), desired: sum((s) => s.desired) };
}

/** Number of containers on a host. */
export function containerCount(host: Host): number {
  return Object.values(host.report?.parts ?? {}).reduce((n, part) => n + part.containers.length, 0);
}
