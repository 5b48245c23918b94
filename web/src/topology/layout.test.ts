import ELK from "elkjs/lib/elk.bundled.js";
import { expect, test } from "vitest";
import { sceneItems, focusRect, type SceneItem } from "./items";
import { flowNodeFactory } from "./flow-nodes";
import { NO_FILTER, indexGraph, buildScene, type Graph, type Grouping } from "./model";
import { readLayout, layoutKey, toElk, type Rect } from "./layout";
import { escapeXml, fitText, sceneSvg } from "./svg";
import { nextItem } from "./keyboard";
import { testEdge, testNode, shopGraph, withState } from "./fixtures";

const elk = new ELK();

async function place(graph: Graph, grouping: Grouping = "containers", aspect = 1.9) {
  const made = buildScene(indexGraph(graph), NO_FILTER, grouping, new Set());
  const where = readLayout(made, await elk.layout(toElk(made, aspect)));
  return { made, where, items: sceneItems(made, where, "Machines") };
}

const overlap = (a: Rect, b: Rect) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const within = (a: Rect, b: Rect) => a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;

/** Checks that every item has a place and overlaps only its container. */
function sound(all: SceneItem[]) {
  const of = (...sorts: string[]) => all.filter((i) => sorts.includes(i.shape));
  const solid = of("bar", "small", "box");
  solid.forEach((a, i) => solid.slice(i + 1).forEach((b) => expect(overlap(a.rect, b.rect), `${a.id} on ${b.id}`).toBe(false)));
  const lanes = of("lane");
  lanes.forEach((a, i) => lanes.slice(i + 1).forEach((b) => expect(overlap(a.rect, b.rect), `${a.id} on ${b.id}`).toBe(false)));
  const boxes = of("box");
  for (const chip of of("chip")) expect(boxes.filter((box) => within(chip.rect, box.rect)), chip.id).toHaveLength(1);
}

test("lanes below the edge, boxes in their lanes, chips in their boxes", async () => {
  const { where, items } = await place(shopGraph());
  sound(items);
  const rect = (id: string): Rect => where.rects.get(id) ?? { x: 0, y: 0, w: 0, h: 0 };
  expect(rect("outside/1").y).toBe(0);
  expect(rect("router/front").y).toBeGreaterThan(rect("outside/1").y);
  expect(rect("network/front").y).toBeGreaterThan(rect("router/front").y + rect("router/front").h);
  expect(within(rect("server/web-1"), rect("network/front"))).toBe(true);
  expect(within(rect("server/db"), rect("network/front"))).toBe(true);
  expect(rect("stack/site").y).toBeGreaterThan(rect("network/back").y + rect("network/back").h - 1);
  // Lanes are as wide as the diagram, and a floating IP is above its target.
  expect(rect("network/back").w).toBe(rect("network/front").w);
  const middle = (r: Rect) => r.x + r.w / 2;
  expect(Math.abs(middle(rect("floating-ip/web")) - middle(rect("load-balancer/web")))).toBeLessThan(200);
});

test("lines begin and end at what they join", async () => {
  const { where } = await place(shopGraph());
  const line = (kind: string) => where.lines.find((l) => l.kind === kind);
  const network = where.rects.get("network/back");
  expect(line("port")?.dot?.y).toBe((network?.y ?? 0) + 20);
  expect(line("interface")?.d).toMatch(/^M\d+ \d+V\d+H\d+V\d+$/);
  expect(line("gateway")?.d).toMatch(/V24$/);
  expect(new Set(where.lines.map((l) => l.id)).size).toBe(where.lines.length);
});

/** Points along a path of M, C, V and H. */
function along(d: string): { x: number; y: number }[] {
  const points: { x: number; y: number }[] = [];
  let [x, y] = [0, 0];
  for (const [, command, rest = ""] of d.matchAll(/([MCVH])([^MCVH]*)/g)) {
    const n = rest.trim().split(/\s+/).map(Number);
    const [toX, toY] = command === "V" ? [x, n[0] ?? 0] : command === "H" ? [n[0] ?? 0, y] : [n.at(-2) ?? 0, n.at(-1) ?? 0];
    const [c, e] = command === "C" ? [{ x: n[0] ?? 0, y: n[1] ?? 0 }, { x: n[2] ?? 0, y: n[3] ?? 0 }] : [{ x, y }, { x: toX, y: toY }];
    for (let t = 0; t <= 1 && command !== "M"; t += 0.02) {
      const at = (a: number, b: number, d: number, z: number) =>
        (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * d + t ** 3 * z;
      points.push({ x: at(x, c.x, e.x, toX), y: at(y, c.y, e.y, toY) });
    }
    [x, y] = [toX, toY];
  }
  return points;
}

test("a floating IP's line runs behind no box that it does not lead to", async () => {
  const graph = shopGraph(2, 1);
  graph.nodes.push(...["db", "web-1", "web-2"].map((to) => testNode(`floating-ip/${to}`)));
  graph.edges.push(...["db", "web-1", "web-2"].map((to) => testEdge(`floating-ip/${to}`, "leads", `server/${to}`)));
  for (const aspect of [0.5, 0.8, 1.2, 1.9]) {
    const { where, items } = await place(graph, "containers", aspect);
    const leads = where.lines.filter((l) => l.kind === "leads");
    expect(leads).toHaveLength(4);
    for (const line of leads) {
      for (const box of items.filter((i) => i.shape === "box" && i.id !== line.to)) {
        const { x, y, w, h } = box.rect;
        const behind = along(line.d).some((p) => p.x > x + 1 && p.x < x + w - 1 && p.y > y + 1 && p.y < y + h - 1);
        expect(behind, `${line.id} behind ${box.id} at ${String(aspect)}`).toBe(false);
      }
    }
  }
});

test("2,000 containers: each has its place, and the whole fits a screen's shape", async () => {
  const graph = shopGraph(40, 50);
  const { where, items } = await place(graph);
  sound(items);
  expect(items.filter((i) => i.shape === "chip" && i.kind === "container")).toHaveLength(2000);
  const ratio = where.width / where.height;
  expect(ratio).toBeGreaterThan(1);
  expect(ratio).toBeLessThan(3.4);
  const grouped = await place(graph, "services");
  expect(grouped.items.filter((i) => i.shape === "chip" && i.kind === "container")).toHaveLength(80);
  const narrow = await place(graph, "services", 0.7);
  expect(narrow.where.width / narrow.where.height).toBeLessThan(1.2);
});

test("places depend on what there is, not on how it is", () => {
  const key = (graph: Graph) => layoutKey(buildScene(indexGraph(graph), NO_FILTER, "containers", new Set()), 1.9);
  expect(key(withState(shopGraph(), "server/db", "failed"))).toBe(key(shopGraph()));
  expect(key(shopGraph(4))).not.toBe(key(shopGraph(3)));
});

test("only items that look different are drawn again", async () => {
  const { where, items: first } = await place(shopGraph(40, 50));
  const nodes = flowNodeFactory();
  const marks = { chosen: null, neighbours: new Set<string>(), current: null };
  const label = (item: SceneItem) => item.name;
  const before = nodes(first, marks, label);
  const graph = withState(shopGraph(40, 50), "container/site/web-7-7", "degraded");
  const after = nodes(sceneItems(buildScene(indexGraph(graph), NO_FILTER, "containers", new Set()), where, "Machines"), marks, label);
  expect(after.filter((n, i) => n !== before[i]).map((n) => n.id)).toEqual(["server/web-7", "container/site/web-7-7"]);
  const chosen = nodes(first, { ...marks, chosen: "server/db" }, label);
  expect(chosen.filter((n) => n.className !== "").map((n) => n.id)).toEqual(["server/db"]);
});

test("arrow keys go to the nearest thing on that side", async () => {
  const { items } = await place(shopGraph());
  const rects = new Map(items.map((item) => [item.id, focusRect(item)]));
  expect(nextItem(rects, "server/web-1", "right")).toBe("server/web-2");
  expect(nextItem(rects, "server/web-1", "down")).toBe("container/site/web-1-1");
  expect(nextItem(rects, "outside/1", "up")).toBeUndefined();
  // From everywhere to everywhere.
  const reached = new Set(["server/web-1"]);
  for (const from of reached) {
    for (const way of ["left", "right", "up", "down"] as const) {
      const to = nextItem(rects, from, way);
      if (to) reached.add(to);
    }
  }
  expect([...rects.keys()].filter((id) => !reached.has(id))).toEqual([]);
});

test("an SVG file has everything, and nothing breaks out of it", async () => {
  const graph = withState(shopGraph(), "container/site/web-1-1", "degraded");
  const evil = '</text><script>alert("1")</script>\u0000&';
  graph.nodes = graph.nodes.map((n) => (n.id === "server/db" ? { ...n, name: evil } : n));
  const { where, items } = await place(graph);
  const file = sceneSvg(items, where, evil, (item) => item.name);
  const read = new DOMParser().parseFromString(file, "image/svg+xml");
  expect(read.querySelector("parsererror")).toBeNull();
  expect(read.querySelector("script")).toBeNull();
  expect(file).not.toContain("<script");
  expect(file).not.toContain("\u0000");
  expect(file.match(/<title>/g)?.length).toBe(items.length + 1);
  expect(file).toContain("#8f5500");
});

test("texts are cut where they do not fit", () => {
  expect(fitText("web-1", 200)).toBe("web-1");
  expect(fitText("a-very-long-name-of-a-container", 80)).toMatch(/^a-very-l.*…$/);
  expect(fitText("容器的名称很长很长", 80).length).toBeLessThan(8);
  expect(escapeXml(`<&>"'`)).toBe("&lt;&amp;&gt;&quot;&#39;");
});
