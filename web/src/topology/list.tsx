/** The same as the picture, as a list. */
import { Button } from "@mantine/core";
import { useState } from "react";
import { useTexts } from "../i18n";
import { StateMark } from "../components/state-mark";
import { byName, KINDS, subtitle, type Index, type Node } from "./model";
import { KindIcon } from "./nodes";

/** So many are listed at first. */
const FIRST = 200;

export function List({ index, seen, chosen, choose }: { index: Index; seen: ReadonlySet<string>; chosen: string | null; choose: (id: string) => void }) {
  const { t } = useTexts();
  const [all, setAll] = useState(false);
  const rank = (node: Node) => KINDS.indexOf(node.kind);
  const rows = index.graph.nodes.filter((n) => seen.has(n.id)).sort((a, b) => rank(a) - rank(b) || byName(a, b));
  const name = (id: string | null | undefined) => index.nodes.get(id ?? "")?.name;
  return (
    <section className="panel list">
      <table className="rows cards">
        <thead>
          <tr>
            <th scope="col">{t("picture.kind")}</th>
            <th scope="col">{t("picture.name")}</th>
            <th scope="col">{t("picture.state")}</th>
            <th scope="col">{t("picture.inside")}</th>
            <th scope="col">{t("picture.about")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, all ? rows.length : FIRST).map((node) => (
            <tr key={node.id} aria-selected={chosen === node.id || undefined}>
              <td data-label={t("picture.kind")} className="nowrap"><span className="kind"><KindIcon kind={node.kind} size={14} /> {t(`kind.${node.kind}`)}</span></td>
              <td data-label={t("picture.name")}><button type="button" className="link" onClick={() => choose(node.id)}>{node.name}</button></td>
              <td data-label={t("picture.state")}>
                <StateMark state={node.state} />
                {node.why && <div className="why">{node.why}</div>}
              </td>
              <td data-label={t("picture.inside")}>{name(node.parent)}</td>
              <td data-label={t("picture.about")} className="quiet">{node.kind === "container" ? name(node.service) : subtitle(node)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!all && rows.length > FIRST && <p className="pad"><Button variant="default" onClick={() => setAll(true)}>{t("picture.all", { n: rows.length })}</Button></p>}
    </section>
  );
}
