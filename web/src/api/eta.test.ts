import { expect, test } from "vitest";
import { bytesTimeLeft, timeLeft } from "./eta";
import type { RunStep } from "./runs";

const step = (name: string, state: RunStep["state"], usual: number | null, after: string[] = [], began: number | null = null): RunStep => ({
  step: name, state, usual_ms: usual, after, began_ms: began, action: "create", doing: "", amount: null, notes: [], error: null, hint: null, took_ms: null, seq: 1,
});

test("the longest chain says how long it takes, and what was done counts no more", () => {
  const steps = [step("network a", "done", 5000), step("port a", "running", 4000, ["network a"], 1000), step("server a", "waiting", 20_000, ["port a"]), step("volume a", "waiting", 3000)];
  expect(timeLeft(steps, 2000)).toBe(3000 + 20_000);
});

test("nothing is said where something was never done, or when it takes longer than usual", () => {
  expect(timeLeft([step("server a", "running", 4000, [], 0), step("volume a", "waiting", null)], 1000)).toBeNull();
  expect(timeLeft([step("server a", "running", 4000, [], 0)], 9000)).toBeNull();
  expect(timeLeft([step("server a", "done", 4000)], 0)).toBeNull();
});

test("bytes tell by their rate, once there is one", () => {
  const from = { at: 0, done: 100, total: 1100 };
  expect(bytesTimeLeft(from, 100, 5000)).toBeNull();
  expect(bytesTimeLeft(from, 350, 5000)).toBe(15_000);
});
