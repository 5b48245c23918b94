/** The topology of a yard, live, with the same content as `stackyard graph`. */
import "../topology/topology.css";
import { SegmentedControl, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { HEALTH_STATES, worstState, type HealthState } from "../api/health";
import { graphSnapshot, type GraphSnapshot } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CloudNote } from "../components/cloud-note";
import { CommandLine } from "../components/command-line";
import { QueryResult, Problem } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { TopologyCanvas } from "../topology/canvas";
import type { GraphChanges } from "../topology/changes";
import { NodeDetails, GroupDetails } from "../topology/details";
import { runElk } from "../topology/elk";
import { sceneItems, type SceneItem } from "../topology/items";
import { TopologyList } from "../topology/list";
import {
  countBy, NO_FILTER, groupId, groupOf, drawnParent, indexGraph, NODE_KINDS, matchingNodes, buildScene, defaultGrouping, isReady,
  type GraphFilter, type Grouping, type GraphIndex, type NodeKind,
} from "../topology/model";
import { KindIcon } from "../topology/nodes";
import { readLayout, layoutKey, toElk } from "../topology/layout";
import { sceneSvg } from "../topology/svg";

type TopologyMode = "graph" | "list";

export default function TopologyPage() {
  const { t } = useTexts();
  const { yard } = useParams({ from: "/yards/$yard/picture" });
  const { node } = useSearch({ from: "/yards/$yard/picture" });
  const query = useQuery(graphSnapshot(yard));
  const [view, setView] = useState<TopologyMode>("graph");
  const graph = query.data?.graph;
  const file = shellQuote(`${yard}.svg`);
  const command = graph && !graph.cloud ? `stackyard stack list --yard ${shellQuote(yard)}` : `stackyard graph -f yard.yaml --svg ${file}`;
  return (
    <div className="page topology">
      <div className="head">
        <h1>
          <span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / {graph?.cloud ? <Link to="/yards/$yard" params={{ yard }}>{yard}</Link> : yard} /</span> {t("topology.title")}
        </h1>
        {graph && <StateMark state={worstState(graph.nodes.map((n) => n.health))} />}
        <div className="end">
          <SegmentedControl
            size="xs"
            aria-label={t("topology.view")}
            value={view}
            onChange={setView}
            data={[{ value: "graph", label: t("topology.asGraph") }, { value: "list", label: t("topology.asList") }]}
          />
        </div>
      </div>
      <QueryResult query={query}>{(snapshot) => <TopologyView key={`${yard} ${node ?? ""}`} snapshot={snapshot} view={view} first={node ?? null} />}</QueryResult>
      <CommandLine text={command} />
    </div>
  );
}

function withToggled<T>(set: ReadonlySet<T>, item: T): ReadonlySet<T> {
  const other = new Set(set);
  if (!other.delete(item)) other.add(item);
  return other;
}

function TopologyView({ snapshot: { graph, changes }, view, first }: { snapshot: GraphSnapshot; view: TopologyMode; first: string | null }) {
  const { t } = useTexts();
  const [text, setText] = useState("");
  const [without, setWithout] = useState<ReadonlySet<NodeKind>>(NO_FILTER.without);
  const [states, setStates] = useState<ReadonlySet<HealthState>>(NO_FILTER.states);
  const [chosenGrouping, setChosenGrouping] = useState<Grouping | null>(null);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const [chosen, setChosen] = useState(first);
  const shownText = useDeferredValue(text);
  const filter: GraphFilter = useMemo(() => ({ text: shownText, without, states }), [shownText, without, states]);
  const index = useMemo(() => indexGraph(graph), [graph]);
  const grouping = chosenGrouping ?? defaultGrouping(graph);
  const visible = useMemo(() => matchingNodes(index, filter), [index, filter]);
  const inState = useMemo(() => countBy(graph, "health"), [graph]);
  const ofKind = useMemo(() => countBy(graph, "kind"), [graph]);
  if (graph.nodes.length === 0) {
    return <section className="panel"><CloudNote cloud={graph.cloud} /><p className="empty">{t("topology.empty")}</p></section>;
  }
  const group = chosen !== null ? groupOf(index, chosen) : undefined;
  const node = chosen !== null ? index.nodes.get(chosen) : undefined;
  return (
    <section className="panel stage" aria-label={t("topology.of", { name: graph.yard })}>
      <CloudNote cloud={graph.cloud} />
      <div className="controls">
        <TextInput
          className="text"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          leftSection={<IconSearch size={14} />}
          aria-label={t("topology.filter")}
          placeholder={t("topology.filterHint")}
        />
        <FilterGroup name={t("topology.states")}>
          {HEALTH_STATES.filter((s) => inState.has(s)).map((state) => (
            <FilterToggle key={state} on={states.has(state)} toggle={() => setStates(withToggled(states, state))} count={inState.get(state) ?? 0}>
              <StateMark state={state} />
            </FilterToggle>
          ))}
        </FilterGroup>
        {view === "graph" && (
          <SegmentedControl
            size="xs"
            aria-label={t("topology.grouping")}
            value={grouping}
            onChange={setChosenGrouping}
            data={[{ value: "services", label: t("topology.services") }, { value: "containers", label: t("topology.each") }]}
          />
        )}
        <FilterGroup name={t("topology.kinds")} kinds>
          {NODE_KINDS.filter((k) => ofKind.has(k)).map((kind) => (
            <FilterToggle key={kind} on={!without.has(kind)} toggle={() => setWithout(withToggled(without, kind))} count={ofKind.get(kind) ?? 0}>
              <KindIcon kind={kind} size={14} /> {t(`kind.${kind}`)}
            </FilterToggle>
          ))}
        </FilterGroup>
      </div>
      <div className={node || group ? "split open" : "split"}>
        {visible.size === 0 ? <p className="empty">{t("topology.nothing")}</p>
          : view === "list" ? <TopologyList index={index} visible={visible} chosen={chosen} choose={setChosen} />
            : <TopologyDrawing index={index} filter={filter} grouping={grouping} opened={opened} chosen={chosen} choose={setChosen} changes={changes} />}
        {node && <NodeDetails index={index} node={node} choose={setChosen} />}
        {group && chosen !== null && (
          <GroupDetails
            index={index}
            members={group}
            works={group.filter(isReady).length}
            opened={opened.has(chosen)}
            toggle={() => setOpened(withToggled(opened, chosen))}
            choose={setChosen}
          />
        )}
      </div>
      <ChangeAnnouncement changes={changes} index={index} />
    </section>
  );
}

function FilterGroup({ name, kinds, children }: { name: string; kinds?: boolean; children: React.ReactNode }) {
  return <div className={kinds ? "choices kinds" : "choices"} role="group" aria-label={name}>{children}</div>;
}

function FilterToggle({ on, toggle, count, children }: { on: boolean; toggle: () => void; count: number; children: React.ReactNode }) {
  return <button type="button" className="choice" aria-pressed={on} onClick={toggle}>{children} <span className="quiet">{count}</span></button>;
}

interface TopologyDrawingProps {
  index: GraphIndex;
  filter: GraphFilter;
  grouping: Grouping;
  opened: ReadonlySet<string>;
  chosen: string | null;
  choose: (id: string | null) => void;
  changes: GraphChanges;
}

function TopologyDrawing({ index, filter, grouping, opened, chosen, choose, changes }: TopologyDrawingProps) {
  const { t } = useTexts();
  const phone = useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false });
  const scene = useMemo(() => buildScene(index, filter, grouping, opened), [index, filter, grouping, opened]);
  const aspect = phone ? 0.7 : 1.9;
  const key = layoutKey(scene, aspect);
  const places = useQuery({
    queryKey: ["places", index.graph.yard, key],
    queryFn: async () => readLayout(scene, await runElk(toElk(scene, aspect))),
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    retry: false,
  });
  const placed = places.data;
  const machines = t("topology.machines");
  const items = useMemo(() => (placed ? sceneItems(scene, placed, machines) : []), [scene, placed, machines]);
  const label = useCallback((item: SceneItem) => [`${t(`kind.${item.kind}`)} ${item.name}`, t(`state.${item.state}`), item.text].filter(Boolean).join(", "), [t]);
  const neighbours = useMemo(() => new Set((index.edges.get(chosen ?? "") ?? []).map((e) => (e.from === chosen ? e.to : e.from))), [index, chosen]);
  const drawn = useMemo(() => new Set(items.map((item) => item.id)), [items]);
  const drawnId = useCallback((id: string) => {
    const node = index.nodes.get(id);
    return !drawn.has(id) && node?.service ? groupId(node.service, drawnParent(node)) : id;
  }, [index, drawn]);
  if (places.error) return <Problem error={places.error} retry={() => void places.refetch()} />;
  if (!placed) return <div className="empty" role="status">{t("loading")}</div>;
  const save = () => {
    const url = URL.createObjectURL(new Blob([sceneSvg(items, placed, index.graph.yard, label)], { type: "image/svg+xml" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `${index.graph.yard}.svg`;
    link.click();
    // The browser needs the URL until it has read the file.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return (
    <div className="frame-of-canvas">
      <TopologyCanvas
        title={index.graph.yard}
        items={items}
        placed={placed}
        fitted={places.isPlaceholderData ? "" : `${aspect} ${grouping} ${JSON.stringify([filter.text, ...filter.without, "", ...filter.states])}`}
        phone={phone}
        changes={changes}
        chosen={chosen}
        neighbours={neighbours}
        choose={choose}
        label={label}
        drawnId={drawnId}
        save={save}
      />
    </div>
  );
}

/** Announces changes to screen readers. */
function ChangeAnnouncement({ changes, index }: { changes: GraphChanges; index: GraphIndex }) {
  const { t } = useTexts();
  const name = (id: string) => index.nodes.get(id)?.name ?? id.split("/").pop() ?? id;
  const all = [
    ...changes.stateChanged.map(({ id }) => t("topology.stateChanged", { name: name(id), state: t(`state.${index.nodes.get(id)?.health ?? "ready"}`) })),
    ...changes.added.map((id) => t("topology.added", { name: name(id) })),
    ...changes.removed.map((id) => t("topology.removed", { name: name(id) })),
  ];
  const few = all.slice(0, 5).join("; ");
  return <p className="hidden" role="status">{all.length > 0 && t("topology.changed", { n: all.length, what: all.length > 5 ? `${few} …` : few })}</p>;
}
