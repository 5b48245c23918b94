/** The interactive diagram, for mouse, touch and keyboard. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { useReducedMotion } from "@mantine/hooks";
import { IconDownload, IconMinus, IconPlus, IconZoomScan, type Icon } from "@tabler/icons-react";
import { getViewportForBounds, Panel, ReactFlow, ReactFlowProvider, useReactFlow, useStore, useStoreApi, ViewportPortal } from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTexts } from "../i18n";
import type { GraphChanges } from "./changes";
import { elementId, flowNodeFactory, type ItemMarks, type FlowItem } from "./flow-nodes";
import { focusRect, type SceneItem } from "./items";
import { nodeTypes } from "./nodes";
import type { SceneLayout } from "./layout";
import { nextItem, type Direction } from "./keyboard";

interface CanvasProps {
  title: string;
  items: SceneItem[];
  placed: SceneLayout;
  /** A new value fits the whole diagram into view. */
  fitted: string;
  phone: boolean;
  changes: GraphChanges;
  chosen: string | null;
  neighbours: ReadonlySet<string>;
  choose: (id: string | null) => void;
  label: (item: SceneItem) => string;
  /** Id of the drawn item that represents a node. */
  drawnId: (id: string) => string;
  save: () => void;
}

export function TopologyCanvas(props: CanvasProps) {
  return <ReactFlowProvider><CanvasView {...props} /></ReactFlowProvider>;
}

const ZOOM = { min: 0.05, max: 2.5 };
/** Names are unreadable below this zoom, so boxes draw their chips as coloured cells. */
const FAR = 0.45;
const NEAR = 0.7;
const ARROWS: Record<string, Direction> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

function CanvasView({ title, items, placed, fitted, phone, changes, chosen, neighbours, choose, label, drawnId, save }: CanvasProps) {
  const { t } = useTexts();
  const reducedMotion = useReducedMotion();
  const view = useReactFlow<FlowItem>();
  const store = useStoreApi<FlowItem>();
  const far = useStore((s) => s.transform[2] < FAR);
  const root = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState<string | null>(null);
  const [nodesOf] = useState(flowNodeFactory);
  const marks: ItemMarks = useMemo(() => ({ chosen, neighbours, current }), [chosen, neighbours, current]);
  const visibleItems = useMemo(() => (far ? items.filter((item) => item.shape !== "chip") : items), [far, items]);
  const nodes = useMemo(() => nodesOf(visibleItems, marks, label), [nodesOf, visibleItems, marks, label]);
  const landings = useMemo(() => new Map(items.map((item) => [item.id, focusRect(item)])), [items]);
  const duration = reducedMotion ? 0 : 250;

  const fit = useCallback((duration: number) => {
    const { width, height } = store.getState();
    const bounds = { x: 0, y: 0, width: placed.width, height: placed.height };
    const whole = getViewportForBounds(bounds, width, height, ZOOM.min, 1.15, 0.04);
    // On a phone, readable names matter more than the whole diagram.
    void view.setViewport(phone && whole.zoom < 0.5 ? { x: 8, y: 8, zoom: 0.5 } : whole, { duration });
  }, [placed, phone, store, view]);
  const lastFitted = useRef("");
  useEffect(() => {
    if (lastFitted.current === fitted) return;
    fit(lastFitted.current === "" ? 0 : duration);
    lastFitted.current = fitted;
  }, [fit, fitted, duration]);

  useMoveAnimation(root, placed);
  useChangeAnimation(root, changes, items, drawnId, reducedMotion);

  const go = (id: string) => {
    setCurrent(id);
    const rect = landings.get(id);
    const { width, height, transform: [x, y, zoom] } = store.getState();
    if (!rect) return;
    const [left, top] = [rect.x * zoom + x, rect.y * zoom + y];
    const inside = zoom >= FAR && left >= 0 && top >= 0 && left + rect.w * zoom <= width && top + rect.h * zoom <= height;
    if (!inside) void view.setCenter(rect.x + rect.w / 2, rect.y + rect.h / 2, { zoom: Math.max(zoom, NEAR), duration });
  };
  const press = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    const at = current !== null && landings.has(current) ? current : items[0]?.id;
    if (at === undefined) return;
    if (direction) go(current === at ? (nextItem(landings, at, direction) ?? at) : at);
    else if (event.key === "Home") go(items[0]?.id ?? at);
    else if (event.key === "Enter" || event.key === " ") choose(at);
    else if (event.key === "Escape") choose(null);
    else if (event.key === "+" || event.key === "=") void view.zoomIn({ duration });
    else if (event.key === "-") void view.zoomOut({ duration });
    else if (event.key === "0") fit(duration);
    else return;
    event.preventDefault();
  };
  return (
    <ReactFlow
      ref={root}
      className={far ? "canvas far" : "canvas"}
      nodes={nodes}
      nodeTypes={nodeTypes}
      onlyRenderVisibleElements
      zIndexMode="manual"
      minZoom={ZOOM.min}
      maxZoom={ZOOM.max}
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      elementsSelectable={false}
      disableKeyboardA11y
      zoomOnDoubleClick={false}
      deleteKeyCode={null}
      selectionKeyCode={null}
      panActivationKeyCode={null}
      // A separate layer moves without a repaint. Afterwards, it must be repainted sharply.
      onMoveStart={() => root.current?.classList.add("panned")}
      onMoveEnd={() => root.current?.classList.remove("panned")}
      onNodeClick={(_, node) => {
        setCurrent(node.id);
        choose(node.id);
      }}
      onPaneClick={() => choose(null)}
      tabIndex={0}
      onFocus={(event) => event.target === event.currentTarget && current === null && setCurrent(items[0]?.id ?? null)}
      onKeyDown={press}
      aria-label={`${t("topology.of", { name: title })}. ${t("topology.help")}`}
      aria-activedescendant={current === null ? undefined : elementId(current)}
    >
      <ViewportPortal><CanvasLines placed={placed} chosen={chosen} /></ViewportPortal>
      <Panel position="bottom-left" className="zoom">
        <CanvasButton name={t("topology.zoomIn")} icon={IconPlus} use={() => void view.zoomIn({ duration })} />
        <CanvasButton name={t("topology.zoomOut")} icon={IconMinus} use={() => void view.zoomOut({ duration })} />
        <CanvasButton name={t("topology.fit")} icon={IconZoomScan} use={() => fit(duration)} />
        <CanvasButton name={t("topology.save")} icon={IconDownload} use={save} />
      </Panel>
    </ReactFlow>
  );
}

function CanvasButton({ name, icon: Shape, use }: { name: string; icon: Icon; use: () => void }) {
  return <Tooltip label={name}><ActionIcon variant="default" onClick={use} aria-label={name}><Shape size={15} /></ActionIcon></Tooltip>;
}

function CanvasLines({ placed, chosen }: { placed: SceneLayout; chosen: string | null }) {
  const on = (line: { from: string; to: string }) => line.from === chosen || line.to === chosen;
  return (
    <svg className="lines" width="1" height="1" aria-hidden="true">
      {placed.lines.filter((line) => !line.quiet || on(line)).map((line) => (
        <g key={line.id} className={`line ${line.kind}${on(line) ? " on" : ""}`}>
          <path d={line.d} />
          {line.dot && <circle cx={line.dot.x} cy={line.dot.y} r="3.5" />}
        </g>
      ))}
    </svg>
  );
}

/** Animates items to their new positions. */
function useMoveAnimation(root: React.RefObject<HTMLDivElement | null>, placed: SceneLayout): void {
  const last = useRef<SceneLayout | null>(null);
  useEffect(() => {
    const before = last.current;
    last.current = placed;
    if (before === null || before === placed) return;
    const element = root.current;
    element?.classList.add("moving");
    const timer = setTimeout(() => element?.classList.remove("moving"), 450);
    return () => {
      clearTimeout(timer);
      element?.classList.remove("moving");
    };
  }, [root, placed]);
}

/** Fades new items in and highlights items whose state changed. */
function useChangeAnimation(root: React.RefObject<HTMLDivElement | null>, changes: GraphChanges, items: SceneItem[], drawnId: (id: string) => string, still: boolean): void {
  const lastChanges = useRef(changes);
  const waiting = useRef(new Map<string, "added" | "stateChanged">());
  useEffect(() => {
    if (lastChanges.current !== changes) {
      lastChanges.current = changes;
      waiting.current = new Map([
        ...changes.stateChanged.map(({ id }) => [drawnId(id), "stateChanged"] as const),
        ...changes.added.map((id) => [drawnId(id), "added"] as const),
      ]);
    }
    // A new item exists only after the next layout.
    for (const [id, what] of waiting.current) {
      const element = root.current?.querySelector(`[id="${CSS.escape(elementId(id))}"] > *`);
      if (!element) continue;
      waiting.current.delete(id);
      if (still) continue;
      if (what === "added") element.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 700, easing: "ease-out" });
      else element.animate([{ boxShadow: "0 0 0 5px var(--accent)" }, { boxShadow: "0 0 0 0 transparent" }], { duration: 1400, easing: "ease-out" });
    }
  }, [root, changes, items, drawnId, still]);
}
