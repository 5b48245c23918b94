/** Who can reach whom: from rows to columns, and by which rules. */
import { Button } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconPencil } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import type { Schemas } from "../../api/client";
import { reach, useMay } from "../../api/queries";
import { useTexts, type Key, type Values } from "../../i18n";
import { CloudNote } from "../../components/cloud-note";
import { CommandLine } from "../../components/command-line";
import { Loaded } from "../../components/problem";

type Table = Schemas["ReachTable"];
type End = Schemas["ReachEnd"];
type Grant = Schemas["ReachGrant"];
type T = (key: Key, values?: Values) => string;

/** A row or a column in words. */
export function endText(end: End, t: T): string {
  switch (end.kind) {
    case "anywhere":
      return t("net.anywhere");
    case "addresses":
      return end.name;
    default: {
      const name = `${t(`net.end.${end.kind}`)} ${end.name}`;
      return end.count > 1 ? `${name} (${end.count})` : name;
    }
  }
}

export function whyText(why: Grant["by"][number], t: T): string {
  switch (why.kind) {
    case "rule":
      return why.text;
    case "listener":
      return t("net.listener", { port: why.text });
    case "open":
      return t("net.open");
  }
}

const key = (from: string, to: string) => `${from}\n${to}`;

/** What goes through, by row and column. */
export function cellsOf(table: Table): Map<string, Grant[]> {
  return new Map(table.cells.map((cell) => [key(cell.from, cell.to), cell.grants]));
}

export function ReachPage({ yard }: { yard: string }) {
  const query = useQuery(reach(yard));
  return (
    <>
      <section className="panel">
        <Loaded query={query}>
          {(seen) => <><CloudNote cloud={seen.cloud} /><Reach yard={yard} table={seen.table} declared={seen.groups.map((group) => group.name)} /></>}
        </Loaded>
      </section>
      <CommandLine text="stackyard net reach -f yard.yaml" />
    </>
  );
}

interface ReachProps {
  yard: string;
  table: Table;
  /** Groups whose rules can be changed. */
  declared: string[];
}

export function Reach(props: ReachProps) {
  const { t } = useTexts();
  const phone = useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false });
  if (props.table.targets.length === 0) return <p className="empty">{t("net.nobody")}</p>;
  return phone ? <ReachList {...props} /> : <ReachTable {...props} />;
}

function ReachTable({ yard, table, declared }: ReachProps) {
  const { t } = useTexts();
  const [chosen, setChosen] = useState<{ from: string; to: string } | null>(null);
  const cells = cellsOf(table);
  const from = table.sources.find((end) => end.id === chosen?.from);
  const to = table.targets.find((end) => end.id === chosen?.to);
  return (
    <>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="matrix" role="region" aria-label={t("net.view.reach")} tabIndex={0}>
        <table className="rows">
          <caption className="hidden">{t("net.reachAbout")}</caption>
          <thead>
            <tr>
              <th scope="col" className="corner-head">{t("net.from")} <span aria-hidden="true">↓</span> {t("net.to")} <span aria-hidden="true">→</span></th>
              {table.targets.map((end) => <th key={end.id} scope="col">{endText(end, t)}<Doors end={end} /></th>)}
            </tr>
          </thead>
          <tbody>
            {table.sources.map((row) => (
              <tr key={row.id}>
                <th scope="row">{endText(row, t)}</th>
                {table.targets.map((column) => {
                  const grants = cells.get(key(row.id, column.id)) ?? [];
                  const on = row.id === chosen?.from && column.id === chosen.to;
                  return (
                    <td key={column.id}>
                      {grants.length === 0 ? <><span className="quiet" aria-hidden="true">–</span><span className="hidden">{t("net.nothing")}</span></> : (
                        <button type="button" className="cell" aria-pressed={on} onClick={() => setChosen(on ? null : { from: row.id, to: column.id })}>
                          <span className="hidden">{`${endText(row, t)} → ${endText(column, t)}: `}</span>
                          {grants.map((grant, at) => (
                            <Fragment key={grant.what}>
                              {at > 0 && <span className="hidden">, </span>}
                              <span className={grant.blocked ? "tag blocked" : "tag"}>{grant.what}{grant.some ? " *" : ""}</span>
                              {grant.blocked && <span className="hidden"> ({t("net.blocked")})</span>}
                            </Fragment>
                          ))}
                        </button>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {table.cells.some((cell) => cell.grants.some((grant) => grant.some)) && <p className="pad quiet">* {t("net.some")}</p>}
      {from && to ? (
        <section className="pad why-cell" aria-label={`${endText(from, t)} → ${endText(to, t)}`}>
          <h2>{endText(from, t)} → {endText(to, t)}</h2>
          <Grants yard={yard} grants={cells.get(key(from.id, to.id)) ?? []} declared={declared} />
        </section>
      ) : <p className="pad quiet">{t("net.chooseCell")}</p>}
    </>
  );
}

/** The same for a narrow screen: by target, who comes. */
function ReachList({ yard, table, declared }: ReachProps) {
  const { t } = useTexts();
  const cells = cellsOf(table);
  return (
    <ul className="reach-list">
      {table.targets.map((to) => {
        const rows = table.sources.filter((from) => cells.has(key(from.id, to.id)));
        return (
          <li key={to.id}>
            <h2>{endText(to, t)}<Doors end={to} /></h2>
            {rows.length === 0 && <p className="quiet">{t("net.nothing")}</p>}
            {rows.map((from) => (
              <div key={from.id}>
                <h3>{t("net.from")} {endText(from, t)}</h3>
                <Grants yard={yard} grants={cells.get(key(from.id, to.id)) ?? []} declared={declared} />
              </div>
            ))}
          </li>
        );
      })}
    </ul>
  );
}

function Doors({ end }: { end: End }) {
  const { t } = useTexts();
  return <span className="quiet door">{(end.doors ?? []).join(", ") || t("net.noDoor")}</span>;
}

function Grants({ yard, grants, declared }: { yard: string; grants: Grant[]; declared: string[] }) {
  const { t } = useTexts();
  const may = useMay("operator");
  return (
    <ul className="grants">
      {grants.map((grant) => (
        <li key={grant.what}>
          <span className={grant.blocked ? "tag blocked" : "tag"}>{grant.what}</span>
          <span className="quiet">{[...(grant.some ? [t("net.some")] : []), ...(grant.blocked ? [t("net.blocked")] : [])].join(", ")}</span>
          <ul>
            {grant.by.map((why) => {
              const text = whyText(why, t);
              const group = why.kind === "rule" ? declared.find((name) => why.text.startsWith(`${name}: `)) : undefined;
              return (
                <li key={text}>
                  {text}{" "}
                  {may && group !== undefined && (
                    <Button variant="subtle" size="compact-xs" leftSection={<IconPencil size={13} />} renderRoot={(props) => <Link to="/yards/$yard/network" params={{ yard }} search={{ view: "rules", group }} {...props} />}>{t("net.editGroup", { name: group })}</Button>
                  )}
                </li>
              );
            })}
          </ul>
        </li>
      ))}
    </ul>
  );
}
