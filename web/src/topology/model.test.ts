import { expect, test } from "vitest";
import { graphChanges } from "./changes";
import { countBy, NO_FILTER, groupId, groupOf, indexGraph, matchingNodes, MACHINES_LANE, buildScene, subtitle, defaultGrouping, type GraphFilter } from "./model";
import { testEdge, testNode, shopGraph, withState } from "./fixtures";

const none = new Set<string>();
const all = (graph = shopGraph()) => buildScene(indexGraph(graph), NO_FILTER, "containers", none);
const filter = (over: Partial<GraphFilter>): GraphFilter => ({ ...NO_FILTER, ...over });

test("networks are lanes, external networks are at the edge", () => {
  const made = all();
  expect(made.bars.map((n) => n.name)).toEqual(["public"]);
  expect(made.routers.map((n) => n.id)).toEqual(["router/front"]);
  expect(made.floating.map((n) => n.id)).toEqual(["floating-ip/web"]);
  expect(made.lanes.map((l) => l.id)).toEqual(["network/front", "network/back"]);
  expect(made.lanes[0]?.boxes.map((b) => b.node.id)).toEqual(["load-balancer/web", "server/db", "server/web-1", "server/web-2", "server/web-3"]);
  expect(made.shelf.map((b) => b.node.id)).toEqual(["stack/site", "volume/spare", "security-group/web"]);
});

test("containers and volumes are in their hosts, services in their stack", () => {
  const made = all();
  const chips = (id: string) => [...made.lanes.flatMap((l) => l.boxes), ...made.shelf].find((b) => b.node.id === id)?.chips.map((c) => c.name);
  expect(chips("server/web-2")).toEqual(["site/web-2-1", "site/web-2-2", "site/web-2-3", "site/job-2-4"]);
  expect(chips("server/db")).toEqual(["data"]);
  expect(chips("stack/site")).toEqual(["web", "job"]);
});

test("what stands in a lane needs no line to it; groups show theirs when chosen", () => {
  const lines = all().lines.map((l) => `${l.kind} ${l.from} ${l.to}${l.quiet ? " quiet" : ""}`);
  expect(lines).toContain("port server/db network/back");
  expect(lines).not.toContain("port server/db network/front");
  expect(lines).not.toContain("vip load-balancer/web network/front");
  expect(lines).toContain("member load-balancer/web server/web-1");
  expect(lines).toContain("security_group server/db security-group/web quiet");
  expect(all(shopGraph(20)).lines.filter((l) => l.kind === "member").every((l) => l.quiet)).toBe(true);
});

test("containers of a service on a host become one, as bad as the worst of them", () => {
  const id = "container/site/web-1-2";
  const found = indexGraph(withState(shopGraph(), id, "degraded"));
  const of = (opened: ReadonlySet<string>) =>
    buildScene(found, NO_FILTER, "services", opened).lanes.flatMap((l) => l.boxes).find((b) => b.node.id === "server/web-1")?.chips ?? [];
  const group = groupId("service/site/web", "server/web-1");
  const [web, job] = of(none);
  expect([web?.id, web?.name, web?.state, web?.works, web?.members?.length]).toEqual([group, "site/web", "degraded", 2, 3]);
  // A single container is no group.
  expect(job?.id).toBe("container/site/job-1-4");
  expect(of(new Set([group])).map((c) => c.id)).toContain(id);
});

test("a group is found by its id, also one that is with its stack", () => {
  const graph = shopGraph();
  graph.nodes.push(testNode("container/site/web-10", { service: "service/site/web" }), testNode("container/site/web-11", { service: "service/site/web" }));
  const found = indexGraph(graph);
  const ids = (id: string) => groupOf(found, id)?.map((n) => n.id);
  expect(ids(groupId("service/site/web", "server/web-2"))).toHaveLength(3);
  expect(ids(groupId("service/site/web", "stack/site"))).toEqual(["container/site/web-10", "container/site/web-11"]);
  expect(ids("group/server/none/service/site/web")).toBeUndefined();
  expect(ids("server/web-2")).toBeUndefined();
  const chip = buildScene(found, NO_FILTER, "services", none).shelf[0]?.chips.at(1);
  expect([chip?.id, chip?.members?.length]).toEqual([groupId("service/site/web", "stack/site"), 2]);
});

test("many containers are grouped unless the reader says otherwise", () => {
  expect(defaultGrouping(shopGraph(3, 4))).toBe("containers");
  expect(defaultGrouping(shopGraph(40, 50))).toBe("services");
});

test("a filter keeps what matches, and the hosts of it", () => {
  const found = indexGraph(withState(shopGraph(), "container/site/web-2-1", "degraded"));
  const seen = matchingNodes(found, filter({ states: new Set(["degraded"]) }));
  expect([...seen]).toEqual(["container/site/web-2-1"]);
  const made = buildScene(found, filter({ states: new Set(["degraded"]) }), "containers", none);
  expect(made.lanes.map((l) => [l.id, l.boxes.map((b) => b.node.id)])).toEqual([["network/front", ["server/web-2"]]]);
  expect(made.bars).toEqual([]);
  // Match by a detail, including children.
  expect([...matchingNodes(found, filter({ text: " 10.20.1.3 " }))]).toContain("container/site/web-3-1");
  expect([...matchingNodes(found, filter({ text: "JOB" }))].filter((id) => id.startsWith("container"))).toHaveLength(3);
  const without = matchingNodes(found, filter({ without: new Set(["container", "security_group"]) }));
  expect(without.has("security-group/web")).toBe(false);
  expect(without.has("server/web-1")).toBe(true);
  expect(matchingNodes(found, filter({ text: "nothing of the kind" })).size).toBe(0);
});

test("machines that are in no network have a lane of their own, containers without a host are with their stack", () => {
  const graph = shopGraph(0);
  graph.nodes.push(
    testNode("host/old", { kind: "host" }),
    testNode("container/site/web-9", { parent: "host/old", service: "service/site/web" }),
    testNode("container/site/web-10", { service: "service/site/web", health: "progressing" }),
  );
  const made = all(graph);
  expect(made.lanes.at(-1)?.id).toBe(MACHINES_LANE);
  expect(made.lanes.at(-1)?.boxes[0]?.chips).toHaveLength(1);
  expect(made.shelf[0]?.chips.map((c) => c.id)).toContain("container/site/web-10");
});

test("a network outside with servers in it is a lane", () => {
  const graph = shopGraph(0);
  graph.nodes.push(testNode("server/edge"));
  graph.edges.push(testEdge("server/edge", "port", "outside/1"));
  const made = all(graph);
  expect(made.bars).toEqual([]);
  expect(made.lanes.map((l) => l.id)).toEqual(["network/front", "network/back", "outside/1"]);
  expect(made.lines.some((l) => l.kind === "gateway" && l.to === "outside/1")).toBe(true);
});

test("counts, and the text below a name", () => {
  expect(countBy(shopGraph(40, 50), "kind").get("container")).toBe(2000);
  const found = indexGraph(shopGraph());
  const said = (id: string) => subtitle(found.nodes.get(id) ?? testNode(id));
  expect([said("network/front"), said("server/db"), said("floating-ip/web")]).toEqual(["10.20.0.0/24 · MTU 1442", "10.20.0.5 · m1.tiny", "203.0.113.7"]);
});

test("changes between two graphs", () => {
  const before = shopGraph();
  const now = withState(before, "server/db", "failed");
  now.nodes = now.nodes.filter((n) => n.id !== "volume/spare").concat(testNode("volume/new"));
  expect(graphChanges(before, now)).toEqual({ added: ["volume/new"], removed: ["volume/spare"], stateChanged: [{ id: "server/db", from: "ready" }] });
  expect(graphChanges(undefined, now)).toEqual({ added: [], removed: [], stateChanged: [] });
});
