/** How long a run goes on, as far as runs before it tell. */
import type { RunStep } from "./runs";

/** Time left of a step that has not ended, in milliseconds; null where nothing is known. */
function stepTimeLeft(step: RunStep, now: number): number | null {
  if (step.usual_ms == null) return null;
  const began = step.state === "running" ? (step.began_ms ?? now) : now;
  return Math.max(0, step.usual_ms - (now - began));
}

/**
 * Time left of all steps, in milliseconds, by the longest chain of steps that wait for each other; null if one
 * of them is of a kind that was never done in this yard. What takes longer than it usually does may end any moment;
 * null too if nothing else is left.
 */
export function timeLeft(steps: RunStep[], now: number): number | null {
  const open = new Map(steps.filter((s) => s.state === "waiting" || s.state === "running").map((s) => [s.step, s]));
  const ends = new Map<string, number | null>();
  const end = (step: RunStep): number | null => {
    const cached = ends.get(step.step);
    if (cached !== undefined) return cached;
    // A circle would be no plan; it must not hang the page all the same.
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

/** A counted step as it was seen first. */
export interface ProgressSample {
  at: number;
  done: number;
  total: number;
}

/** Time left of what is counted in bytes, by what came since it was seen first; null until that says anything. */
export function bytesTimeLeft(from: ProgressSample, done: number, now: number): number | null {
  const [came, took] = [done - from.done, now - from.at];
  if (came <= 0 || took < 2000) return null;
  return ((from.total - done) * took) / came;
}
