/** A yard as it is, as a picture: live, and the same as `stackyard graph`. */
import "../topology/topology.css";
import { SegmentedControl, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useDeferredValue, useMemo, useState } from "react";
import { STATES, worst, type State } from "../api/health";
import { sight, type Sight } from "../api/queries";
import { shell } from "../format";
import { useTexts } from "../i18n";
import { CloudNote } from "../components/cloud-note";
import { CommandLine } from "../components/command-line";
import { Loaded, Problem } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { Canvas } from "../topology/canvas";
import type { Changes } from "../topology/changes";
import { Details, GroupDetails } from "../topology/details";
import { layout } from "../topology/elk";
import { items as itemsOf, type Item } from "../topology/items";
import { List } from "../topology/list";
import {
  count, EVERYTHING, groupId, groupOf, home, index as indexOf, KINDS, matching, scene as sceneOf, usualGrouping, works,
  type Filter, type Grouping, type Index, type Kind,
} from "../topology/model";
import { KindIcon } from "../topology/nodes";
import { placed as placedOf, signature, toElk } from "../topology/layout";
import { svg } from "../topology/svg";

type View = "picture" | "list";

export default function PicturePage() {
  const { t } = useTexts();
  const { yard } = useParams({ from: "/yards/$yard/picture" });
  const { node } = useSearch({ from: "/yards/$yard/picture" });
  const query = useQuery(sight(yard));
  const [view, setView] = useState<View>("picture");
  const known = query.data?.graph;
  const file = shell(`${yard}.svg`);
  const command = known && !known.cloud ? `stackyard stack list --yard ${shell(yard)}` : `stackyard graph -f yard.yaml --svg ${file}`;
  return (
    <div className="page picture">
      <div className="head">
        <h1>
          <span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / {known?.cloud ? <Link to="/yards/$yard" params={{ yard }}>{yard}</Link> : yard} /</span> {t("picture.title")}
        </h1>
        {known && <StateMark state={worst(known.nodes.map((n) => n.state))} />}
        <div className="end">
          <SegmentedControl
            size="xs"
            aria-label={t("picture.view")}
            value={view}
            onChange={setView}
            data={[{ value: "picture", label: t("picture.asPicture") }, { value: "list", label: t("picture.asList") }]}
          />
        </div>
      </div>
      <Loaded query={query}>{(seen) => <Yard key={`${yard} ${node ?? ""}`} seen={seen} view={view} first={node ?? null} />}</Loaded>
      <CommandLine text={command} />
    </div>
  );
}

function toggled<T>(set: ReadonlySet<T>, item: T): ReadonlySet<T> {
  const other = new Set(set);
  if (!other.delete(item)) other.add(item);
  return other;
}

function Yard({ seen: { graph, changes }, view, first }: { seen: Sight; view: View; first: string | null }) {
  const { t } = useTexts();
  const [text, setText] = useState("");
  const [without, setWithout] = useState<ReadonlySet<Kind>>(EVERYTHING.without);
  const [states, setStates] = useState<ReadonlySet<State>>(EVERYTHING.states);
  const [wanted, setWanted] = useState<Grouping | null>(null);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const [chosen, setChosen] = useState(first);
  const shownText = useDeferredValue(text);
  const filter: Filter = useMemo(() => ({ text: shownText, without, states }), [shownText, without, states]);
  const index = useMemo(() => indexOf(graph), [graph]);
  const grouping = wanted ?? usualGrouping(graph);
  const seen = useMemo(() => matching(index, filter), [index, filter]);
  const inState = useMemo(() => count(graph, "state"), [graph]);
  const ofKind = useMemo(() => count(graph, "kind"), [graph]);
  if (graph.nodes.length === 0) {
    return <section className="panel"><CloudNote cloud={graph.cloud} /><p className="empty">{t("picture.empty")}</p></section>;
  }
  const group = chosen !== null ? groupOf(index, chosen) : undefined;
  const node = chosen !== null ? index.nodes.get(chosen) : undefined;
  return (
    <section className="panel stage" aria-label={t("picture.of", { name: graph.yard })}>
      <CloudNote cloud={graph.cloud} />
      <div className="controls">
        <TextInput
          className="text"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          leftSection={<IconSearch size={14} />}
          aria-label={t("picture.filter")}
          placeholder={t("picture.filterHint")}
        />
        <Choices name={t("picture.states")}>
          {STATES.filter((s) => inState.has(s)).map((state) => (
            <Choice key={state} on={states.has(state)} toggle={() => setStates(toggled(states, state))} count={inState.get(state) ?? 0}>
              <StateMark state={state} />
            </Choice>
          ))}
        </Choices>
        {view === "picture" && (
          <SegmentedControl
            size="xs"
            aria-label={t("picture.grouping")}
            value={grouping}
            onChange={setWanted}
            data={[{ value: "services", label: t("picture.services") }, { value: "containers", label: t("picture.each") }]}
          />
        )}
        <Choices name={t("picture.kinds")} kinds>
          {KINDS.filter((k) => ofKind.has(k)).map((kind) => (
            <Choice key={kind} on={!without.has(kind)} toggle={() => setWithout(toggled(without, kind))} count={ofKind.get(kind) ?? 0}>
              <KindIcon kind={kind} size={14} /> {t(`kind.${kind}`)}
            </Choice>
          ))}
        </Choices>
      </div>
      <div className={node || group ? "split open" : "split"}>
        {seen.size === 0 ? <p className="empty">{t("picture.nothing")}</p>
          : view === "list" ? <List index={index} seen={seen} chosen={chosen} choose={setChosen} />
            : <Drawn index={index} filter={filter} grouping={grouping} opened={opened} chosen={chosen} choose={setChosen} changes={changes} />}
        {node && <Details index={index} node={node} choose={setChosen} />}
        {group && chosen !== null && (
          <GroupDetails
            index={index}
            members={group}
            works={group.filter(works).length}
            opened={opened.has(chosen)}
            toggle={() => setOpened(toggled(opened, chosen))}
            choose={setChosen}
          />
        )}
      </div>
      <News changes={changes} index={index} />
    </section>
  );
}

function Choices({ name, kinds, children }: { name: string; kinds?: boolean; children: React.ReactNode }) {
  return <div className={kinds ? "choices kinds" : "choices"} role="group" aria-label={name}>{children}</div>;
}

function Choice({ on, toggle, count, children }: { on: boolean; toggle: () => void; count: number; children: React.ReactNode }) {
  return <button type="button" className="choice" aria-pressed={on} onClick={toggle}>{children} <span className="quiet">{count}</span></button>;
}

interface DrawnProps {
  index: Index;
  filter: Filter;
  grouping: Grouping;
  opened: ReadonlySet<string>;
  chosen: string | null;
  choose: (id: string | null) => void;
  changes: Changes;
}

function Drawn({ index, filter, grouping, opened, chosen, choose, changes }: DrawnProps) {
  const { t } = useTexts();
  const phone = useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false });
  const scene = useMemo(() => sceneOf(index, filter, grouping, opened), [index, filter, grouping, opened]);
  const aspect = phone ? 0.7 : 1.9;
  const key = signature(scene, aspect);
  const places = useQuery({
    queryKey: ["places", index.graph.yard, key],
    queryFn: async () => placedOf(scene, await layout(toElk(scene, aspect))),
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    retry: false,
  });
  const placed = places.data;
  const machines = t("picture.machines");
  const items = useMemo(() => (placed ? itemsOf(scene, placed, machines) : []), [scene, placed, machines]);
  const label = useCallback((item: Item) => [`${t(`kind.${item.kind}`)} ${item.name}`, t(`state.${item.state}`), item.text].filter(Boolean).join(", "), [t]);
  const near = useMemo(() => new Set((index.edges.get(chosen ?? "") ?? []).map((e) => (e.from === chosen ? e.to : e.from))), [index, chosen]);
  const drawn = useMemo(() => new Set(items.map((item) => item.id)), [items]);
  const stand = useCallback((id: string) => {
    const node = index.nodes.get(id);
    return !drawn.has(id) && node?.service ? groupId(node.service, home(node)) : id;
  }, [index, drawn]);
  if (places.error) return <Problem error={places.error} retry={() => void places.refetch()} />;
  if (!placed) return <div className="empty" role="status">{t("loading")}</div>;
  const save = () => {
    const url = URL.createObjectURL(new Blob([svg(items, placed, index.graph.yard, label)], { type: "image/svg+xml" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `${index.graph.yard}.svg`;
    link.click();
    // Not before the browser has read it.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return (
    <div className="frame-of-canvas">
      <Canvas
        title={index.graph.yard}
        items={items}
        placed={placed}
        fitted={places.isPlaceholderData ? "" : `${aspect} ${grouping} ${JSON.stringify([filter.text, ...filter.without, "", ...filter.states])}`}
        phone={phone}
        changes={changes}
        chosen={chosen}
        near={near}
        choose={choose}
        label={label}
        stand={stand}
        save={save}
      />
    </div>
  );
}

/** What changed, for those who do not see it. */
function News({ changes, index }: { changes: Changes; index: Index }) {
  const { t } = useTexts();
  const name = (id: string) => index.nodes.get(id)?.name ?? id.split("/").pop() ?? id;
  const all = [
    ...changes.turned.map(({ id }) => t("picture.turned", { name: name(id), state: t(`state.${index.nodes.get(id)?.state ?? "ok"}`) })),
    ...changes.added.map((id) => t("picture.cameUp", { name: name(id) })),
    ...changes.removed.map((id) => t("picture.gone", { name: name(id) })),
  ];
  const few = all.slice(0, 5).join("; ");
  return <p className="hidden" role="status">{all.length > 0 && t("picture.changed", { n: all.length, what: all.length > 5 ? `${few} …` : few })}</p>;
}
