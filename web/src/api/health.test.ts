import { expect, test } from "vitest";
import type { Host, Replica, Service, Stack } from "./client";
import { replicaCounts, groupByYard, hostState, replicaState, serviceState, stackState, worstState } from "./health";

const host = (over: Partial<Host>): Host => ({
  id: "1", yard: "shop", pool: "", name: "web-1", labels: {}, connected: true, drain: false, leaving: false, joined: "", facts: {} as Host["facts"], revision: 0, ...over,
});
const replica = (over: Partial<Replica>): Replica => ({
  name: "web-1", index: 1, host: "1", host_name: "h", state: "running", restarts: 0, generation: 1, ...over,
});
const service = (over: Partial<Service>): Service => ({
  name: "web", image: "i", mode: "replicated", desired: 1, running: 1, ready: 1, generation: 1, phase: "done", replicas: [], ...over,
});
const stack = (standing: Stack["status"]["standing"], services: Service[] = []): Stack => ({
  yard: "shop", name: "site", removing: false, declared: false, versions: [], deployed: "",
  status: { version: 1, standing, reasons: [], notes: [], services },
});

test("a group is as bad as the worst of it", () => {
  expect(worstState([])).toBe("ok");
  expect(worstState(["ok", "failed", "working"])).toBe("failed");
  expect(worstState(["drained", "working"])).toBe("working");
});

test("hosts", () => {
  expect(hostState(host({}))).toBe("ok");
  expect(hostState(host({ drain: true }))).toBe("drained");
  expect(hostState(host({ connected: false, drain: true }))).toBe("away");
  const usage = { memory: 0, load: 0, disk: 0, disk_used: 0 };
  const report = { revision: 1, settled: true, usage, parts: { site: { containers: [], error: "no such image" } } };
  expect(hostState(host({ report }))).toBe("failing");
});

test("containers", () => {
  expect(replicaState(replica({}), service({}))).toBe("ok");
  expect(replicaState(replica({ healthy: false }), service({}))).toBe("failing");
  expect(replicaState(replica({ state: "exited", status: 0 }), service({}))).toBe("failing");
  expect(replicaState(replica({ state: "exited", status: 0 }), service({ mode: "replicated-job" }))).toBe("ok");
  expect(replicaState(replica({ state: "exited", status: 1 }), service({ mode: "replicated-job" }))).toBe("failing");
  expect(replicaState(replica({ state: "held" }), service({}))).toBe("waiting");
  expect(replicaState(replica({ state: "unknown" }), service({}))).toBe("away");
  expect(replicaState(replica({ state: "restarting" }), service({}))).toBe("working");
  expect(replicaState(replica({ error: "boom" }), service({}))).toBe("failing");
});

test("services and stacks", () => {
  expect(serviceState(service({}))).toBe("ok");
  expect(serviceState(service({ ready: 0 }))).toBe("working");
  expect(serviceState(service({ phase: "rolled_back" }))).toBe("failed");
  expect(serviceState(service({ why: "no host" }))).toBe("failing");
  expect(stackState(stack("converged"))).toBe("ok");
  expect(stackState({ ...stack("converged"), removing: true })).toBe("working");
  expect(replicaCounts(stack("working", [service({ ready: 1, desired: 3 }), service({})]))).toEqual({ ready: 2, desired: 4 });
});

test("yards are those that anything names", () => {
  const yards = groupByYard(["empty"], [host({ connected: false })], [{ ...stack("converged"), yard: "lab" }]);
  expect(yards.map((y) => [y.name, y.state])).toEqual([["empty", "ok"], ["lab", "ok"], ["shop", "away"]]);
});
