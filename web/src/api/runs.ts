/**
 * A run as it goes: its steps come as events, and after a loss of the connection only those that
 * changed since; the browser tells the server which one it saw last.
 */
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import type { State } from "./health";

export type Run = Schemas["RunView"];
export type RunStep = Schemas["RunStep"];
export type RunDetail = Schemas["RunDetail"];

/** How a run of whatever kind stands. */
export type RunState = Pick<Run, "id" | "who" | "began" | "state" | "error">;

export interface Followed<R extends RunState = Run, D = RunDetail> {
  run: R | null;
  /** What the last event of the run told, without steps. */
  detail: D | null;
  steps: RunStep[];
  notes: string[];
  /** Whether the connection is there; true of a run that has ended. */
  live: boolean;
  /** There is no such run. */
  missing: boolean;
}

export const NOTHING = { run: null, detail: null, steps: [], notes: [], live: true, missing: false };

/** Steps with one that is new or has changed; an older state of it changes nothing. */
export function withStep(steps: RunStep[], step: RunStep): RunStep[] {
  const at = steps.findIndex((one) => one.step === step.step);
  const before = steps[at];
  if (!before) return [...steps, step];
  return before.seq > step.seq ? steps : steps.with(at, step);
}

export function path(run: { yard: string; id: string }): string {
  return `/api/v1/yards/${encodeURIComponent(run.yard)}/runs/${encodeURIComponent(run.id)}`;
}

/** Follows a run until its end; of a component that is made anew for another run. */
export function useRun(yard: string, id: string): Followed {
  return useFollowed<Run, RunDetail>(path({ yard, id }));
}

/** Follows the run at a path until its end. */
export function useFollowed<R extends RunState, D extends { run: R; notes: string[] }>(at: string): Followed<R, D> {
  const [followed, setFollowed] = useState<Followed<R, D>>(NOTHING);
  useEffect(() => {
    const source = new EventSource(`${at}/events`);
    source.addEventListener("step", (event: MessageEvent<string>) => {
      const step = JSON.parse(event.data) as RunStep;
      setFollowed((now) => ({ ...now, steps: withStep(now.steps, step), live: true }));
    });
    source.addEventListener("run", (event: MessageEvent<string>) => {
      const detail = JSON.parse(event.data) as D;
      setFollowed((now) => ({ ...now, run: detail.run, detail, notes: detail.notes, live: true }));
      if (detail.run.state !== "running") source.close();
    });
    source.onerror = () => {
      // A browser tries again by itself, but not where the server said no.
      const missing = source.readyState === EventSource.CLOSED;
      setFollowed((now) => ({ ...now, live: false, missing: missing && now.run === null }));
    };
    return () => source.close();
  }, [at]);
  return followed;
}

export function runState(run: Pick<Run, "state">): State {
  return ({ running: "working", done: "ok", failed: "failed", cancelled: "drained", interrupted: "away" } as const)[run.state];
}

export function stepState(step: RunStep): State {
  return ({ waiting: "waiting", running: "working", done: "ok", failed: "failed", skipped: "drained" } as const)[step.state];
}
