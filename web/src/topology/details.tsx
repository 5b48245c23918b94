/** Details of the selected node. */
import { ActionIcon, Button } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTexts, type TextKey } from "../i18n";
import { en } from "../i18n/en";
import { NamedDialog } from "../components/dialog";
import { ServerConsole } from "../components/server-console";
import { StateMark, StateShape } from "../components/state-mark";
import { byName, fullName, type GraphEdge, type GraphIndex, type GraphNode } from "./model";
import { KindIcon } from "./nodes";

/** Maximum number of children and neighbours in the list. */
const MAX_LINKS = 60;

interface DetailsProps {
  index: GraphIndex;
  node: GraphNode;
  choose: (id: string | null) => void;
}

/** Returns the label of a detail. An unknown detail of a newer server keeps its own name. */
export function useDetailName(): (name: string) => string {
  const { t } = useTexts();
  return (name) => {
    const key = `detail.${name}`;
    return key in en ? t(key as TextKey) : name.replaceAll("_", " ");
  };
}

export function NodeDetails({ index, node, choose }: DetailsProps) {
  const { t } = useTexts();
  const nameOf = useDetailName();
  const { nodes, parts, containers, edges } = index;
  const above = [node.service, node.parent].flatMap((id) => nodes.get(id ?? "") ?? []);
  const inside = [...(parts.get(node.id) ?? []), ...(containers.get(node.id) ?? [])];
  const other = (edge: GraphEdge) => nodes.get(edge.from === node.id ? edge.to : edge.from);
  const near = (edges.get(node.id) ?? []).flatMap((edge) => {
    const there = other(edge);
    return there ? [{ node: there, label: edge.label ?? "" }] : [];
  });
  const stack = node.kind === "stack" ? node.id : node.kind === "service" ? node.parent : null;
  const [reading, setReading] = useState(false);
  // A server's id has its name in the manifest, which may differ from the host's name.
  const server = node.id.startsWith("server/") && node.health !== "missing" ? node.id.slice("server/".length) : null;
  return (
    <DetailsPanel name={node.name} kind={node} close={() => choose(null)}>
      <div className="pad">
        <StateMark state={node.health} />
        {node.outside && <span className="quiet"> {t("topology.outside")}</span>}
        {node.reason && <p className="why">{node.reason}</p>}
        {node.host && <p><Link to="/hosts/$id" params={{ id: node.host }}>{t("hosts.name")}: {node.name}</Link></p>}
        {server && (
          <>
            <Button variant="default" size="compact-xs" mt={6} onClick={() => setReading(true)}>{t("serverlog.title")}</Button>
            <NamedDialog opened={reading} onClose={() => setReading(false)} title={t("serverlog.of", { name: server })} size={960}>
              <ServerConsole yard={index.graph.yard} server={server} />
            </NamedDialog>
          </>
        )}
        {stack && (
          <p><Link to="/stacks/$yard/$name" params={{ yard: index.graph.yard, name: stack.split("/")[1] ?? "" }}>{t("stacks.name")}: {stack.split("/")[1]}</Link></p>
        )}
      </div>
      {node.details && Object.keys(node.details).length > 0 && (
        <dl className="facts">
          {Object.entries(node.details).map(([name, value]) => [<dt key={name}>{nameOf(name)}</dt>, <dd key={`${name} `}>{value}</dd>])}
        </dl>
      )}
      <NodeLinks title={t("topology.inside")} all={above.map((node) => ({ node, label: "" }))} choose={choose} />
      <NodeLinks title={t("topology.parts")} all={inside.sort(byName).map((node) => ({ node, label: "" }))} choose={choose} />
      <NodeLinks title={t("topology.joined")} all={near} choose={choose} />
    </DetailsPanel>
  );
}

interface GroupProps {
  index: GraphIndex;
  /** Containers of a service on a host. */
  members: GraphNode[];
  works: number;
  opened: boolean;
  toggle: () => void;
  choose: (id: string | null) => void;
}

/** Details of a group of containers. */
export function GroupDetails({ index, members, works, opened, toggle, choose }: GroupProps) {
  const { t } = useTexts();
  const [first] = members;
  if (!first) return null;
  const above = [first.service, first.parent].flatMap((id) => index.nodes.get(id ?? "") ?? []);
  return (
    <DetailsPanel name={`${members.length} × ${fullName(first).split("/")[0] ?? ""}/${index.nodes.get(first.service ?? "")?.name ?? ""}`} kind={first} close={() => choose(null)}>
      <div className="pad">
        <p>{t("topology.works", { ready: works, n: members.length })}</p>
        <Button variant="default" mt={6} onClick={toggle}>{t(opened ? "topology.collapse" : "topology.expand")}</Button>
      </div>
      <NodeLinks title={t("topology.inside")} all={above.map((node) => ({ node, label: "" }))} choose={choose} />
      <NodeLinks title={t("topology.parts")} all={members.map((node) => ({ node, label: "" }))} choose={choose} />
    </DetailsPanel>
  );
}

function DetailsPanel({ name, kind, close, children }: { name: string; kind: GraphNode; close: () => void; children: React.ReactNode }) {
  const { t } = useTexts();
  const leave = () => {
    close();
    // Return the focus to the diagram.
    document.querySelector<HTMLElement>(".canvas")?.focus();
  };
  return (
    <section className="panel details" aria-label={`${t(`kind.${kind.kind}`)} ${name}`}>
      <div className="title">
        <KindIcon kind={kind.kind} />
        <h2>{name} <span className="quiet">{t(`kind.${kind.kind}`)}</span></h2>
        <span className="end"><ActionIcon variant="subtle" color="gray" size="sm" onClick={leave} aria-label={t("close")}><IconX size={15} /></ActionIcon></span>
      </div>
      {children}
    </section>
  );
}

function NodeLinks({ title, all, choose }: { title: string; all: { node: GraphNode; label: string }[]; choose: (id: string) => void }) {
  const { t } = useTexts();
  if (all.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul className="others">
        {all.slice(0, MAX_LINKS).map(({ node, label }) => (
          <li key={`${node.id} ${label}`}>
            <span className={`state ${node.health}`}><StateShape state={node.health} /><span className="hidden">{t(`state.${node.health}`)}</span></span>
            <button type="button" onClick={() => choose(node.id)}>{node.name}</button>
            <span className="quiet">{t(`kind.${node.kind}`)}{label === "" ? "" : ` ${label}`}</span>
          </li>
        ))}
        {all.length > MAX_LINKS && <li className="quiet">… {all.length - MAX_LINKS}</li>}
      </ul>
    </>
  );
}
