/**
 * Positions of everything in pixels. The diagram is the one of `stackyard graph`:
 *
 *   ═══ public ═══════════════════════   bars: external networks
 *     [router]        (floating IP)      the edge
 *   front ────┴──────────────────────    a lane per network: its line, its boxes below
 *          [balancer]  [web-1]  [web-2]
 *   back ─────────────────┘
 *   [stack]  [group]                     the shelf: boxes without a network
 *
 * ELK packs boxes into lanes and stacks the lanes. The regular parts (chips in a box, lines) are arithmetic.
 */
import type { ElkNode } from "elkjs/lib/elk-api.js";
import type { SceneBox, EdgeKind, SceneLane, SceneLine, Scene } from "./model";

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface DrawnLine {
  id: string;
  from: string;
  to: string;
  kind: EdgeKind;
  quiet: boolean;
  /** Path data (SVG `d`). */
  d: string;
  /** Point where the line meets a network. */
  dot?: { x: number; y: number };
}

export interface SceneLayout {
  width: number;
  height: number;
  rects: Map<string, Rect>;
  lines: DrawnLine[];
}

const CHIP = { w: 172, h: 24, gap: 6 };
const PAD = 9;
/** Height of a box's header. */
export const HEAD = 46;
const SMALL = { w: 164, h: 40 };
const BAR = { h: 24, gap: 8 };
/** Width of a lane's label, and of the gutter for each router's line. */
export const LABEL = 168;
const GUTTER = 18;
/** Distance from a lane's top to its line, and from the line to the boxes. */
export const LINE = 20;
const BELOW = 20;
const MARGIN = 16;
const BETWEEN = 28;

/** Number of chip columns that makes a box wider than high. */
function columns(chips: number): number {
  return Math.max(1, Math.round(Math.sqrt((chips * 1.4 * (CHIP.h + CHIP.gap)) / (CHIP.w + CHIP.gap))));
}

export function boxSize(box: SceneBox): { w: number; h: number } {
  const chips = box.chips.length;
  const across = columns(chips);
  const down = Math.ceil(chips / across);
  const w = 2 * PAD + across * CHIP.w + (across - 1) * CHIP.gap;
  return { w, h: chips === 0 ? HEAD : HEAD + down * (CHIP.h + CHIP.gap) - CHIP.gap + PAD };
}

/** Key of a layout. States and names are not part of it, so their changes move nothing. */
export function layoutKey(scene: Scene, aspect: number): string {
  const boxes = (all: SceneBox[]) => all.map((b) => `${b.node.id} ${b.chips.map((c) => c.id).join(" ")}`).join(",");
  const ids = (all: { id: string }[]) => all.map((n) => n.id).join(",");
  const lanes = scene.lanes.map((l) => `${l.id}:${boxes(l.boxes)}`).join(";");
  const lines = scene.lines.map((l) => `${l.from}>${l.to}`).join(",");
  return [aspect, ids(scene.bars), ids(scene.routers), ids(scene.floating), lanes, boxes(scene.shelf), lines].join("|");
}

/** Left edge of a lane's boxes. */
function laneLeft(scene: Scene): number {
  return LABEL + GUTTER * scene.routers.length;
}

/** Width at which the diagram has about this aspect ratio. */
function targetWidth(scene: Scene, aspect: number): number {
  const boxes = [...scene.lanes.flatMap((l) => l.boxes), ...scene.shelf].map(boxSize);
  const area = boxes.reduce((sum, b) => sum + (b.w + MARGIN) * (b.h + MARGIN), 0);
  const lanes = scene.lanes.length * (LINE + BELOW + MARGIN + BETWEEN) + 140;
  // w * (area / w + lanes) = w² / aspect
  const w = (aspect * lanes + Math.sqrt((aspect * lanes) ** 2 + 4 * aspect * area)) / 2;
  const widest = boxes.reduce((most, b) => Math.max(most, b.w), 0);
  return Math.round(Math.max(w - laneLeft(scene), widest, 2 * 190 + MARGIN));
}

const EDGE = " edge";
const BARS = " bars";
const SHELF = " shelf";

function packedNode(id: string, target: number, children: ElkNode[], padding: string, gap = MARGIN): ElkNode {
  return {
    id,
    layoutOptions: {
      "elk.algorithm": "rectpacking",
      "elk.rectpacking.widthApproximation.strategy": "TARGET_WIDTH",
      "elk.rectpacking.widthApproximation.targetWidth": String(target),
      "elk.padding": padding,
      "elk.spacing.nodeNode": String(gap),
    },
    children,
  };
}

/** Input of ELK for a scene. */
export function toElk(scene: Scene, aspect: number): ElkNode {
  const target = targetWidth(scene, aspect);
  const leaf = (box: SceneBox): ElkNode => {
    const { w, h } = boxSize(box);
    return { id: box.node.id, width: w, height: h };
  };
  const small = (node: { id: string }): ElkNode => ({ id: node.id, width: SMALL.w, height: SMALL.h });
  const lane = (lane: SceneLane): ElkNode => {
    const padding = `[top=${LINE + BELOW},left=${laneLeft(scene)},bottom=${MARGIN},right=${MARGIN}]`;
    if (lane.boxes.length > 0) return packedNode(lane.id, target, lane.boxes.map(leaf), padding);
    return { id: lane.id, width: laneLeft(scene) + target, height: LINE + BELOW + 8 };
  };
  const rows: ElkNode[] = [];
  if (scene.bars.length > 0) {
    rows.push({ id: BARS, width: 10, height: scene.bars.length * (BAR.h + BAR.gap) - BAR.gap });
  }
  const edge = [...scene.routers, ...scene.floating];
  if (edge.length > 0) rows.push(packedNode(EDGE, target + laneLeft(scene), edge.map(small), "[top=0,left=0,bottom=0,right=0]", 12));
  rows.push(...scene.lanes.map(lane));
  if (scene.shelf.length > 0) rows.push(packedNode(SHELF, target + laneLeft(scene), scene.shelf.map(leaf), "[top=0,left=0,bottom=0,right=0]"));
  rows.forEach((row, i) => {
    row.layoutOptions = { ...row.layoutOptions, "elk.partitioning.partition": String(i) };
  });
  return {
    id: "root",
    layoutOptions: {
      "elk.algorithm": "layered",
      "elk.direction": "DOWN",
      "elk.partitioning.activate": "true",
      "elk.separateConnectedComponents": "false",
      "elk.layered.spacing.nodeNodeBetweenLayers": String(BETWEEN),
      "elk.padding": "[top=0,left=0,bottom=0,right=0]",
    },
    children: rows,
  };
}

/** Layout of a scene from ELK's result for `toElk`. */
export function readLayout(scene: Scene, elk: ElkNode): SceneLayout {
  const rects = new Map<string, Rect>();
  const rows = new Map((elk.children ?? []).map((row) => [row.id, row]));
  const full = Math.max(laneLeft(scene) + 400, ...[...rows.values()].map((row) => row.width ?? 0));
  const inside = (row: ElkNode | undefined) => {
    for (const child of row?.children ?? []) {
      rects.set(child.id, {
        x: child.x ?? 0, y: (row?.y ?? 0) + (child.y ?? 0), w: child.width ?? 0, h: child.height ?? 0,
      });
    }
  };
  const bars = rows.get(BARS)?.y ?? 0;
  scene.bars.forEach((bar, i) => rects.set(bar.id, { x: 0, y: bars + i * (BAR.h + BAR.gap), w: full, h: BAR.h }));
  for (const lane of scene.lanes) {
    const row = rows.get(lane.id);
    rects.set(lane.id, { x: 0, y: row?.y ?? 0, w: full, h: row?.height ?? 0 });
    inside(row);
  }
  inside(rows.get(SHELF));
  inside(rows.get(EDGE));
  alignFloatingIps(scene, rects, full);
  for (const box of [...scene.lanes.flatMap((l) => l.boxes), ...scene.shelf]) layoutChips(box, rects);
  const height = Math.max(0, ...[...rects.values()].map((r) => r.y + r.h));
  return { width: full, height, rects, lines: scene.lines.flatMap((line) => drawLine(line, scene, rects)) };
}

function layoutChips(box: SceneBox, rects: Map<string, Rect>): void {
  const at = rects.get(box.node.id);
  if (!at) return;
  const across = columns(box.chips.length);
  box.chips.forEach((chip, i) => {
    const x = at.x + PAD + (i % across) * (CHIP.w + CHIP.gap);
    const y = at.y + HEAD + Math.floor(i / across) * (CHIP.h + CHIP.gap);
    rects.set(chip.id, { x, y, w: CHIP.w, h: CHIP.h });
  });
}

/** Places floating IPs above their targets if one row has room. */
function alignFloatingIps(scene: Scene, rects: Map<string, Rect>, full: number): void {
  const top = Math.min(...[...scene.routers, ...scene.floating].map((n) => rects.get(n.id)?.y ?? 0));
  const step = SMALL.w + 12;
  const begin = scene.routers.length * step;
  if (begin + scene.floating.length * step > full) return;
  scene.routers.forEach((router, i) => rects.set(router.id, { ...SMALL, x: i * step, y: top }));
  const preferredX = (id: string) => {
    const to = scene.lines.find((l) => l.from === id && l.kind === "leads")?.to;
    const rect = to === undefined ? undefined : rects.get(to);
    return rect ? rect.x + rect.w / 2 - SMALL.w / 2 : 0;
  };
  const order = scene.floating.map((node) => ({ id: node.id, x: preferredX(node.id) })).sort((a, b) => a.x - b.x);
  let free = begin;
  for (const one of order) {
    one.x = Math.max(one.x, free);
    free = one.x + step;
  }
  let end = full;
  for (const one of order.reverse()) {
    one.x = Math.min(one.x, end - SMALL.w);
    end = one.x - 12;
    rects.set(one.id, { ...SMALL, x: one.x, y: top });
  }
}

const rounded = (value: number) => String(Math.round(value));

/** A curve between two points. `over` bends it around what is between them. */
function curve(x: number, y: number, toX: number, toY: number, over?: number): string {
  const bend = over ?? (toY > y ? Math.max(24, (toY - y) / 2) : 40);
  if (over !== undefined) return `M${rounded(x)} ${rounded(y)}C${rounded(x)} ${rounded(y + bend)} ${rounded(toX)} ${rounded(toY + bend)} ${rounded(toX)} ${rounded(toY)}`;
  return `M${rounded(x)} ${rounded(y)}C${rounded(x)} ${rounded(y + bend)} ${rounded(toX)} ${rounded(toY - bend)} ${rounded(toX)} ${rounded(toY)}`;
}

/** Boxes in lanes that a vertical line at `x` would cross. */
function boxesBetween(scene: Scene, rects: Map<string, Rect>, x: number, from: number, to: number): Rect[] {
  return scene.lanes
    .flatMap((lane) => lane.boxes.map((box) => rects.get(box.node.id)))
    .filter((r): r is Rect => r !== undefined && r.y >= from && r.y + r.h <= to && r.x <= x && x <= r.x + r.w);
}

function drawLine(line: SceneLine, scene: Scene, rects: Map<string, Rect>): DrawnLine[] {
  const [a, b] = [rects.get(line.from), rects.get(line.to)];
  if (!a || !b) return [];
  const made = { id: `${line.kind} ${line.from} ${line.to}`, ...line };
  const x = a.x + a.w / 2;
  const lane = scene.lanes.some((l) => l.id === line.to);
  const y = b.y + LINE;
  switch (line.kind) {
    case "gateway":
    case "external": {
      if (lane) return [{ ...made, d: `M${rounded(x)} ${rounded(a.y + a.h)}V${rounded(y)}`, dot: { x, y } }];
      // A router may have other lines at its center.
      const up = line.kind === "gateway" ? x : a.x + 24;
      return [{ ...made, d: `M${rounded(up)} ${rounded(a.y)}V${rounded(b.y + b.h)}` }];
    }
    case "interface": {
      const gutter = LABEL + GUTTER * (scene.routers.findIndex((r) => r.id === line.from) + 0.5);
      const turn = a.y + a.h + BETWEEN / 2;
      return [{ ...made, d: `M${rounded(x)} ${rounded(a.y + a.h)}V${rounded(turn)}H${rounded(gutter)}V${rounded(y)}`, dot: { x: gutter, y } }];
    }
    case "port": {
      if (!lane) return [];
      const side = a.x + a.w - 14;
      return [{ ...made, d: `M${rounded(side)} ${rounded(y > a.y ? a.y + a.h : a.y)}V${rounded(y)}`, dot: { x: side, y } }];
    }
    case "member":
      // Bend the line to members in the same row above the boxes, so that no box hides it.
      if (b.y < a.y + a.h) return [{ ...made, d: curve(x, a.y, b.x + b.w / 2, b.y, -BELOW) }];
      return [{ ...made, d: curve(x, a.y + a.h, b.x + b.w / 2, b.y) }];
    default: {
      const to = b.x + b.w / 2;
      const over = b.y > a.y ? boxesBetween(scene, rects, to, a.y + a.h, b.y) : [];
      if (over.length === 0) return [{ ...made, d: curve(x, b.y > a.y ? a.y + a.h : a.y + a.h / 2, to, b.y) }];
      // Crossing them would suggest that it leads there, so pass next to them and enter from the left.
      const [gap, top] = [b.x - MARGIN / 2, Math.min(...over.map((r) => r.y)) - BELOW];
      return [{ ...made, d: `${curve(x, a.y + a.h, gap, top)}V${rounded(b.y + HEAD / 2)}H${rounded(b.x)}` }];
    }
  }
}
