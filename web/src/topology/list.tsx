/** The list view of the topology. */
import { Button } from "@mantine/core";
import { useState } from "react";
import { useTexts } from "../i18n";
import { StateMark } from "../components/state-mark";
import { byName, NODE_KINDS, subtitle, type GraphIndex, type GraphNode } from "./model";
import { KindIcon } from "./nodes";

/** Number of rows before "Show all". */
const INITIAL_ROWS = 200;

export function TopologyList({ index, visible, chosen, choose }: { index: GraphIndex; visible: ReadonlySet<string>; chosen: string | null; choose: (id: string) => void }) {
  const { t } = useTexts();
  const [all, setAll] = useState(false);
  const rank = (node: GraphNode) => NODE_KINDS.indexOf(node.kind);
  const rows = index.graph.nodes.filter((n) => visible.has(n.id)).sort((a, b) => rank(a) - rank(b) || byName(a, b));
  const name = (id: string | null | undefined) => index.nodes.get(id ?? "")?.name;
  return (
    <section className="panel list">
      <table className="rows cards">
        <thead>
          <tr>
            <th scope="col">{t("topology.kind")}</th>
            <th scope="col">{t("topology.name")}</th>
            <th scope="col">{t("topology.state")}</th>
            <th scope="col">{t("topology.inside")}</th>
            <th scope="col">{t("topology.about")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, all ? rows.length : INITIAL_ROWS).map((node) => (
            <tr key={node.id} aria-selected={chosen === node.id || undefined}>
              <td data-label={t("topology.kind")} className="nowrap"><span className="kind"><KindIcon kind={node.kind} size={14} /> {t(`kind.${node.kind}`)}</span></td>
              <td data-label={t("topology.name")}><button type="button" className="link" onClick={() => choose(node.id)}>{node.name}</button></td>
              <td data-label={t("topology.state")}>
                <StateMark state={node.health} />
                {node.reason && <div className="why">{node.reason}</div>}
              </td>
              <td data-label={t("topology.inside")}>{name(node.parent)}</td>
              <td data-label={t("topology.about")} className="quiet">{node.kind === "container" ? name(node.service) : subtitle(node)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!all && rows.length > INITIAL_ROWS && <p className="pad"><Button variant="default" onClick={() => setAll(true)}>{t("topology.all", { n: rows.length })}</Button></p>}
    </section>
  );
}
