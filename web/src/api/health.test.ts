import { expect, test } from "vitest";
import type { Host, Service, Stack } from "./client";
import { replicaCounts, groupByYard, stackState, worstState } from "./health";

const host = (over: Partial<Host>): Host => ({
  id: "1", yard: "shop", pool: "", name: "web-1", labels: {}, health: "ready", connected: true, drain: false, leaving: false, joined: "", facts: {} as Host["facts"], revision: 0, ...over,
});
const service = (over: Partial<Service>): Service => ({
  name: "web", image: "i", mode: "replicated", desired: 1, running: 1, ready: 1, generation: 1, health: "ready", phase: "done", replicas: [], ...over,
});
const stack = (health: Stack["status"]["health"], services: Service[] = []): Stack => ({
  yard: "shop", name: "site", removing: false, declared: false, versions: [], deployed: "",
  status: { version: 1, health, reasons: [], notes: [], services },
});

test("a group is as bad as the worst of it", () => {
  expect(worstState([])).toBe("ready");
  expect(worstState(["ready", "failed", "progressing"])).toBe("failed");
  expect(worstState(["draining", "progressing"])).toBe("progressing");
});

test("stacks", () => {
  expect(stackState(stack("ready"))).toBe("ready");
  expect(stackState({ ...stack("ready"), removing: true })).toBe("progressing");
  expect(replicaCounts(stack("progressing", [service({ ready: 1, desired: 3 }), service({})]))).toEqual({ ready: 2, desired: 4 });
});

test("yards are those that anything names", () => {
  const yards = groupByYard(["empty"], [host({ health: "unknown", connected: false })], [{ ...stack("ready"), yard: "lab" }]);
  expect(yards.map((y) => [y.name, y.state])).toEqual([["empty", "ready"], ["lab", "ready"], ["shop", "unknown"]]);
});
