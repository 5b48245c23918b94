/** Converts items to React Flow nodes. */
import type { Node as FlowNode } from "@xyflow/react";
import { isSame, type SceneItem, type ItemShape } from "./items";

export type FlowItem = FlowNode<{ item: SceneItem }, ItemShape>;

/** Highlighted items. */
export interface ItemMarks {
  /** Item whose details are open. */
  chosen: string | null;
  /** Items connected to it. */
  neighbours: ReadonlySet<string>;
  /** Item with the keyboard focus. */
  current: string | null;
}

const SHAPE_LAYERS: Record<ItemShape, number> = { bar: 0, lane: 0, small: 2, box: 2, chip: 3 };

/** DOM id of an item. */
export function elementId(id: string): string {
  return `topology-${encodeURIComponent(id)}`;
}

function itemClasses(id: string, marks: ItemMarks): string {
  const all = [marks.chosen === id && "chosen", marks.neighbours.has(id) && "near", marks.current === id && "current"];
  return all.filter(Boolean).join(" ");
}

function makeNode(item: SceneItem, className: string, label: string): FlowItem {
  const { x, y, w, h } = item.rect;
  // The type has no id, but React Flow passes it to the element.
  const domAttributes = { id: elementId(item.id), "aria-roledescription": undefined };
  return {
    id: item.id,
    type: item.shape,
    position: { x, y },
    width: w,
    height: h,
    measured: { width: w, height: h },
    // Without this, React Flow renders everything once to find handles.
    handles: [],
    zIndex: SHAPE_LAYERS[item.shape],
    className,
    ariaLabel: label,
    ariaRole: "group",
    data: { item },
    domAttributes,
  };
}

/** Returns a converter that reuses the node of an unchanged item, so that React Flow does not draw it again. */
export function flowNodeFactory(): (items: SceneItem[], marks: ItemMarks, label: (item: SceneItem) => string) => FlowItem[] {
  let previous = new Map<string, FlowItem>();
  return (items, marks, label) => {
    const all = items.map((item) => {
      const last = previous.get(item.id);
      const [className, name] = [itemClasses(item.id, marks), label(item)];
      const same = last && isSame(last.data.item, item) && last.className === className && last.ariaLabel === name;
      return same ? last : makeNode(item, className, name);
    });
    previous = new Map(all.map((node) => [node.id, node]));
    return all;
  };
}
