/** Health states of hosts, containers, stacks and yards. Each state has an icon, a colour and a text. */
import type { Host, Replica, Service, Stack } from "./client";

export type HealthState = "ok" | "working" | "failing" | "failed" | "away" | "drained" | "waiting" | "stopped" | "missing";

/** States from best to worst. A group has the worst state of its members. */
export const HEALTH_STATES: HealthState[] = ["ok", "drained", "stopped", "waiting", "working", "missing", "away", "failing", "failed"];

export function worstState(states: HealthState[]): HealthState {
  return states.reduce((worst, s) => (HEALTH_STATES.indexOf(s) > HEALTH_STATES.indexOf(worst) ? s : worst), "ok");
}

export function hostState(host: Host): HealthState {
  if (!host.connected) return "away";
  if (host.drain) return "drained";
  const parts = Object.values(host.report?.parts ?? {});
  return parts.some((part) => part.error) ? "failing" : "ok";
}

export function stackState(stack: Stack): HealthState {
  if (stack.removing) return "working";
  return ({ converged: "ok", working: "working", failing: "failing", failed: "failed" } as const)[
    stack.status.standing
  ];
}

export function isJob(service: Service): boolean {
  return service.mode.endsWith("-job");
}

export function serviceState(service: Service): HealthState {
  if (service.phase === "paused" || service.phase === "rolled_back") return "failed";
  if (service.why) return "failing";
  if (service.phase !== "done" || service.ready !== service.desired) return "working";
  return "ok";
}

export function replicaState(replica: Replica, service: Service): HealthState {
  if (replica.error) return "failing";
  switch (replica.state) {
    case "running":
      if (replica.healthy === false) return "failing";
      return "ok";
    case "exited":
      return isJob(service) && replica.status === 0 ? "ok" : "failing";
    case "held":
      return "waiting";
    case "unknown":
      return "away";
    default:
      return "working";
  }
}

export interface YardGroup {
  name: string;
  hosts: Host[];
  stacks: Stack[];
  state: HealthState;
}

/** Yards that have a manifest, a host or a stack. */
export function groupByYard(names: string[], hosts: Host[], stacks: Stack[]): YardGroup[] {
  const all = new Set([...names, ...hosts.map((h) => h.yard), ...stacks.map((s) => s.yard)]);
  return [...all].sort().map((name) => {
    const own = { hosts: hosts.filter((h) => h.yard === name), stacks: stacks.filter((s) => s.yard === name) };
    return { name, ...own, state: worstState([...own.hosts.map(hostState), ...own.stacks.map(stackState)]) };
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
