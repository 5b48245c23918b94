/** Items as React Flow takes them. */
import type { Node as FlowNode } from "@xyflow/react";
import { isSame, type Item, type Sort } from "./items";

export type Shown = FlowNode<{ item: Item }, Sort>;

/** What is marked. */
export interface Marks {
  /** Whose details are shown. */
  chosen: string | null;
  /** Those that it is joined with. */
  near: ReadonlySet<string>;
  /** Where the keyboard is. */
  current: string | null;
}

const LAYER: Record<Sort, number> = { bar: 0, lane: 0, small: 2, box: 2, chip: 3 };

/** Id of an item's element. */
export function elementId(id: string): string {
  return `picture-${encodeURIComponent(id)}`;
}

function classes(id: string, marks: Marks): string {
  const all = [marks.chosen === id && "chosen", marks.near.has(id) && "near", marks.current === id && "current"];
  return all.filter(Boolean).join(" ");
}

function made(item: Item, className: string, label: string): Shown {
  const { x, y, w, h } = item.rect;
  // Its type leaves out the id, which the element does not have otherwise.
  const domAttributes = { id: elementId(item.id), "aria-roledescription": undefined };
  return {
    id: item.id,
    type: item.sort,
    position: { x, y },
    width: w,
    height: h,
    measured: { width: w, height: h },
    // Without, React Flow would draw everything once to look for some.
    handles: [],
    zIndex: LAYER[item.sort],
    className,
    ariaLabel: label,
    ariaRole: "group",
    data: { item },
    domAttributes,
  };
}

/** Makes nodes of items; those that look as they did before are the same objects, and are not drawn again. */
export function flow(): (items: Item[], marks: Marks, label: (item: Item) => string) => Shown[] {
  let known = new Map<string, Shown>();
  return (items, marks, label) => {
    const all = items.map((item) => {
      const last = known.get(item.id);
      const [className, name] = [classes(item.id, marks), label(item)];
      const same = last && isSame(last.data.item, item) && last.className === className && last.ariaLabel === name;
      return same ? last : made(item, className, name);
    });
    known = new Map(all.map((node) => [node.id, node]));
    return all;
  };
}
