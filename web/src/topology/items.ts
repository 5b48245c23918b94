/** What is drawn, one by one, from back to front. */
import type { State } from "../api/health";
import { subtitle, type Chip, type Kind, type Node, type Scene } from "./model";
import { HEAD, LABEL, type Placed, type Rect } from "./layout";

export type Sort = "bar" | "lane" | "small" | "box" | "chip";

export interface Item {
  id: string;
  sort: Sort;
  rect: Rect;
  kind: Kind;
  name: string;
  state: State;
  /** Below the name, or beside it. */
  text: string;
  /** Colour of a lane. */
  tone: number;
  outside: boolean;
  /** Chips in it, by state: a path within the box for those who are too far to read names. */
  cells?: [State, string][];
}

/** Number of colours that lanes take in turn. */
export const TONES = 6;
/** Of the lane that is no network. */
export const NONE = -1;

/** Name of the lane of machines that are in no network is the reader's language's. */
export function items(scene: Scene, placed: Placed, machines: string): Item[] {
  const made: Item[] = [];
  const add = (sort: Sort, node: Node, more: Partial<Item> = {}) => {
    const rect = placed.rects.get(node.id);
    if (!rect) return;
    made.push({
      id: node.id, sort, rect, kind: node.kind, name: node.name, state: node.state,
      text: subtitle(node), tone: 0, outside: node.outside === true, ...more,
    });
  };
  scene.bars.forEach((node) => add("bar", node));
  scene.lanes.forEach((lane, i) => {
    const rect = placed.rects.get(lane.id);
    if (lane.node) add("lane", lane.node, { tone: i % TONES });
    else if (rect) {
      made.push({ id: lane.id, sort: "lane", rect, kind: "network", name: machines, state: "ok", text: "", tone: NONE, outside: true });
    }
  });
  [...scene.routers, ...scene.floating].forEach((node) => add("small", node));
  for (const box of [...scene.lanes.flatMap((l) => l.boxes), ...scene.shelf]) {
    const chips = box.chips.flatMap((chip) => {
      const rect = placed.rects.get(chip.id);
      return rect ? [chipItem(chip, rect)] : [];
    });
    const at = placed.rects.get(box.node.id);
    add("box", box.node, at ? { cells: cells(chips, at) } : {});
    made.push(...chips);
  }
  return made;
}

function cells(chips: Item[], box: Rect): [State, string][] {
  const all = new Map<State, string>();
  for (const { state, rect } of chips) {
    const cell = `M${rect.x - box.x} ${rect.y - box.y}h${rect.w}v${rect.h}h${-rect.w}z`;
    all.set(state, (all.get(state) ?? "") + cell);
  }
  return [...all];
}

function chipItem(chip: Chip, rect: Rect): Item {
  const { id, kind, name, state } = chip;
  const all = chip.members?.length;
  const text = all === undefined ? "" : chip.works === all ? `×${all}` : `${chip.works ?? 0}/${all}`;
  return { id, sort: "chip", rect, kind, name, state, text, tone: 0, outside: false };
}

/** Whether two items look the same. */
export function isSame(a: Item, b: Item): boolean {
  return (
    a.rect.x === b.rect.x && a.rect.y === b.rect.y && a.rect.w === b.rect.w && a.rect.h === b.rect.h &&
    a.name === b.name && a.state === b.state && a.text === b.text && a.kind === b.kind && a.tone === b.tone &&
    a.sort === b.sort && a.outside === b.outside && String(a.cells) === String(b.cells)
  );
}

/** What the keyboard goes to: of what holds other things, its name. */
export function landing(item: Item): Rect {
  const { x, y, w, h } = item.rect;
  if (item.sort === "lane" || item.sort === "bar") return { x, y, w: LABEL, h: Math.min(h, HEAD) };
  return item.sort === "box" ? { x, y, w, h: HEAD } : item.rect;
}
