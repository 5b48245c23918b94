/** Items to draw, from back to front. */
import type { HealthState } from "../api/health";
import { subtitle, type SceneChip, type NodeKind, type GraphNode, type Scene } from "./model";
import { HEAD, LABEL, type SceneLayout, type Rect } from "./layout";

export type ItemShape = "bar" | "lane" | "small" | "box" | "chip";

export interface SceneItem {
  id: string;
  shape: ItemShape;
  rect: Rect;
  kind: NodeKind;
  name: string;
  state: HealthState;
  /** Text below or next to the name. */
  text: string;
  /** Index of a lane's colour. */
  tone: number;
  outside: boolean;
  /** SVG paths of the box's chips by state, drawn when names are too small to read. */
  cells?: [HealthState, string][];
}

/** Number of lane colours. */
export const TONES = 6;
/** Tone of the lane that is not a network. */
export const NO_TONE = -1;

/** Items of a scene. `machines` is the translated name of the lane without a network. */
export function sceneItems(scene: Scene, placed: SceneLayout, machines: string): SceneItem[] {
  const result: SceneItem[] = [];
  const add = (sort: ItemShape, node: GraphNode, more: Partial<SceneItem> = {}) => {
    const rect = placed.rects.get(node.id);
    if (!rect) return;
    result.push({
      id: node.id, shape: sort, rect, kind: node.kind, name: node.name, state: node.health,
      text: subtitle(node), tone: 0, outside: node.outside === true, ...more,
    });
  };
  scene.bars.forEach((node) => add("bar", node));
  scene.lanes.forEach((lane, i) => {
    const rect = placed.rects.get(lane.id);
    if (lane.node) add("lane", lane.node, { tone: i % TONES });
    else if (rect) {
      result.push({ id: lane.id, shape: "lane", rect, kind: "network", name: machines, state: "ready", text: "", tone: NO_TONE, outside: true });
    }
  });
  [...scene.routers, ...scene.floating].forEach((node) => add("small", node));
  for (const box of [...scene.lanes.flatMap((l) => l.boxes), ...scene.shelf]) {
    const chips = box.chips.flatMap((chip) => {
      const rect = placed.rects.get(chip.id);
      return rect ? [chipItem(chip, rect)] : [];
    });
    const at = placed.rects.get(box.node.id);
    add("box", box.node, at ? { cells: stateCells(chips, at) } : {});
    result.push(...chips);
  }
  return result;
}

function stateCells(chips: SceneItem[], box: Rect): [HealthState, string][] {
  const all = new Map<HealthState, string>();
  for (const { state, rect } of chips) {
    const cell = `M${rect.x - box.x} ${rect.y - box.y}h${rect.w}v${rect.h}h${-rect.w}z`;
    all.set(state, (all.get(state) ?? "") + cell);
  }
  return [...all];
}

function chipItem(chip: SceneChip, rect: Rect): SceneItem {
  const { id, kind, name, state } = chip;
  const all = chip.members?.length;
  const text = all === undefined ? "" : chip.works === all ? `×${all}` : `${chip.works ?? 0}/${all}`;
  return { id, shape: "chip", rect, kind, name, state, text, tone: 0, outside: false };
}

/** Whether two items are drawn identically. */
export function isSame(a: SceneItem, b: SceneItem): boolean {
  return (
    a.rect.x === b.rect.x && a.rect.y === b.rect.y && a.rect.w === b.rect.w && a.rect.h === b.rect.h &&
    a.name === b.name && a.state === b.state && a.text === b.text && a.kind === b.kind && a.tone === b.tone &&
    a.shape === b.shape && a.outside === b.outside && String(a.cells) === String(b.cells)
  );
}

/** Area that the keyboard moves to: the header of a container item, else the whole item. */
export function focusRect(item: SceneItem): Rect {
  const { x, y, w, h } = item.rect;
  if (item.shape === "lane" || item.shape === "bar") return { x, y, w: LABEL, h: Math.min(h, HEAD) };
  return item.shape === "box" ? { x, y, w, h: HEAD } : item.rect;
}
