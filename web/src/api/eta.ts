/** Estimates the time left of a run from earlier runs. */
import type { RunStep } from "./runs";

/** Time left of an unfinished step in milliseconds, or null if unknown. */
function stepTimeLeft(step: RunStep, now: number): number | null {
  if (step.usual_ms == null) return null;
  const began = step.state === "running" ? (step.began_ms ?? now) : now;
  return Math.max(0, step.usual_ms - (now - began));
}

/**
 * Time left of all steps in milliseconds, along the longest chain of steps that wait for each other. Null if this yard
 * never ran a step of some kind before, or if only steps are left that already take longer than usual.
 */
export function timeLeft(steps: RunStep[], now: number): number | null {
  const open = new Map(steps.filter((s) => s.state === "waiting" || s.state === "running").map((s) => [s.step, s]));
  const ends = new Map<string, number | null>();
  const end = (step: RunStep): number | null => {
    const cached = ends.get(step.step);
    if (cached !== undefined) return cached;
    // A valid plan has no cycle, but a cycle must not hang the page.
    ends.set(step.step, null);
    const own = stepTimeLeft(step, now);
    let most: number | null = own;
    for (const name of step.after ?? []) {
      const before = open.get(name);
      if (!before || most === null || own === null) continue;
      const other = end(before);
      most = other === null ? null : Math.max(most, other + own);
    }
    ends.set(step.step, most);
    return most;
  };
  let most = 0;
  for (const step of open.values()) {
    const one = end(step);
    if (one === null) return null;
    most = Math.max(most, one);
  }
  return most > 0 ? most : null;
}

/** First observed progress of a step that counts bytes. */
export interface ProgressSample {
  at: number;
  done: number;
  total: number;
}

/** Time left in milliseconds, from the bytes since the first observation. Null for the first two seconds. */
export function bytesTimeLeft(from: ProgressSample, done: number, now: number): number | null {
  const [came, took] = [done - from.done, now - from.at];
  if (came <= 0 || took < 2000) return null;
  return ((from.total - done) * took) / came;
}
