/**
 * A live run: its steps arrive as events. After a lost connection, the browser sends the id of the last event, and the
 * server sends only the steps that changed since.
 */
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import type { HealthState } from "./health";

export type Run = Schemas["RunView"];
export type RunStep = Schemas["RunStep"];
export type RunDetail = Schemas["RunDetail"];

/** Fields that runs of all kinds have. */
export type RunSummary = Pick<Run, "id" | "actor" | "began" | "state" | "error">;

export interface RunFeed<R extends RunSummary = Run, D = RunDetail> {
  run: R | null;
  /** Data of the last event of the run, without steps. */
  detail: D | null;
  steps: RunStep[];
  notes: string[];
  /** Whether the connection is open. True after the run has ended. */
  live: boolean;
  /** The run does not exist. */
  missing: boolean;
}

export const EMPTY_RUN_FEED = { run: null, detail: null, steps: [], notes: [], live: true, missing: false };

/** Adds or replaces a step. Ignores an older state of it. */
export function upsertStep(steps: RunStep[], step: RunStep): RunStep[] {
  const at = steps.findIndex((one) => one.step === step.step);
  const before = steps[at];
  if (!before) return [...steps, step];
  return before.seq > step.seq ? steps : steps.with(at, step);
}

export function yardRunPath(run: { yard: string; id: string }): string {
  return `/api/v1/yards/${encodeURIComponent(run.yard)}/runs/${encodeURIComponent(run.id)}`;
}

/** Follows a yard's run until its end. Mount the component again for another run. */
export function useYardRun(yard: string, id: string): RunFeed {
  return useRunFeed<Run, RunDetail>(yardRunPath({ yard, id }));
}

/** Follows the run at a path until its end. */
export function useRunFeed<R extends RunSummary, D extends { run: R; notes: string[] }>(at: string): RunFeed<R, D> {
  const [feed, setFeed] = useState<RunFeed<R, D>>(EMPTY_RUN_FEED);
  useEffect(() => {
    const source = new EventSource(`${at}/events`);
    source.addEventListener("step", (event: MessageEvent<string>) => {
      const step = JSON.parse(event.data) as RunStep;
      setFeed((now) => ({ ...now, steps: upsertStep(now.steps, step), live: true }));
    });
    source.addEventListener("run", (event: MessageEvent<string>) => {
      const detail = JSON.parse(event.data) as D;
      setFeed((now) => ({ ...now, run: detail.run, detail, notes: detail.notes, live: true }));
      if (detail.run.state !== "running") source.close();
    });
    source.onerror = () => {
      // A browser reconnects by itself, but not after an error response.
      const missing = source.readyState === EventSource.CLOSED;
      setFeed((now) => ({ ...now, live: false, missing: missing && now.run === null }));
    };
    return () => source.close();
  }, [at]);
  return feed;
}

export function runState(run: Pick<Run, "state">): HealthState {
  return ({ running: "progressing", done: "ready", failed: "failed", cancelled: "draining", interrupted: "unknown" } as const)[run.state];
}

export function stepState(step: RunStep): HealthState {
  return ({ waiting: "waiting", running: "progressing", done: "ready", failed: "failed", skipped: "draining" } as const)[step.state];
}
