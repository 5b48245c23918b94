/** Reachability by security groups: from rows to columns, with the rules. */
import { Button } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconPencil } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import type { Schemas } from "../../api/client";
import { reach, useHasRole } from "../../api/queries";
import { useTexts, type TextKey, type TextValues } from "../../i18n";
import { CloudNote } from "../../components/cloud-note";
import { CommandLine } from "../../components/command-line";
import { QueryResult } from "../../components/problem";

type ReachData = Schemas["ReachTable"];
type ReachEnd = Schemas["ReachEnd"];
type ReachGrant = Schemas["ReachGrant"];
type Translate = (key: TextKey, values?: TextValues) => string;

/** Text for a row or a column. */
export function endText(end: ReachEnd, t: Translate): string {
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

export function grantSourceText(why: ReachGrant["by"][number], t: Translate): string {
  switch (why.kind) {
    case "rule":
      return why.text;
    case "listener":
      return t("net.listener", { port: why.text });
    case "open":
      return t("net.open");
  }
}

const cellKey = (from: string, to: string) => `${from}\n${to}`;

/** Allowed traffic by row and column. */
export function grantsByCell(table: ReachData): Map<string, ReachGrant[]> {
  return new Map(table.cells.map((cell) => [cellKey(cell.from, cell.to), cell.grants]));
}

export function ReachView({ yard }: { yard: string }) {
  const query = useQuery(reach(yard));
  return (
    <>
      <section className="panel">
        <QueryResult query={query}>
          {(seen) => <><CloudNote cloud={seen.cloud} /><ReachSummary yard={yard} table={seen.table} declared={seen.groups.map((group) => group.name)} /></>}
        </QueryResult>
      </section>
      <CommandLine text="stackyard net reach -f yard.yaml" />
    </>
  );
}

interface ReachProps {
  yard: string;
  table: ReachData;
  /** Groups whose rules can be changed. */
  declared: string[];
}

export function ReachSummary(props: ReachProps) {
  const { t } = useTexts();
  const phone = useMediaQuery("(max-width: 720px)", false, { getInitialValueInEffect: false });
  if (props.table.targets.length === 0) return <p className="empty">{t("net.nobody")}</p>;
  return phone ? <ReachList {...props} /> : <ReachMatrix {...props} />;
}

function ReachMatrix({ yard, table, declared }: ReachProps) {
  const { t } = useTexts();
  const [chosen, setChosen] = useState<{ from: string; to: string } | null>(null);
  const cells = grantsByCell(table);
  const from = table.sources.find((end) => end.id === chosen?.from);
  const to = table.targets.find((end) => end.id === chosen?.to);
  return (
    <>
      {/* The region scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="matrix" role="region" aria-label={t("net.view.reach")} tabIndex={0}>
        <table className="rows">
          <caption className="hidden">{t("net.reachAbout")}</caption>
          <thead>
            <tr>
              <th scope="col" className="corner-head">{t("net.from")} <span aria-hidden="true">↓</span> {t("net.to")} <span aria-hidden="true">→</span></th>
              {table.targets.map((end) => <th key={end.id} scope="col">{endText(end, t)}<EndFloatingIps end={end} /></th>)}
            </tr>
          </thead>
          <tbody>
            {table.sources.map((row) => (
              <tr key={row.id}>
                <th scope="row">{endText(row, t)}</th>
                {table.targets.map((column) => {
                  const grants = cells.get(cellKey(row.id, column.id)) ?? [];
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
          <GrantList yard={yard} grants={cells.get(cellKey(from.id, to.id)) ?? []} declared={declared} />
        </section>
      ) : <p className="pad quiet">{t("net.chooseCell")}</p>}
    </>
  );
}

/** The same for a narrow screen: the sources of each target. */
function ReachList({ yard, table, declared }: ReachProps) {
  const { t } = useTexts();
  const cells = grantsByCell(table);
  return (
    <ul className="reach-list">
      {table.targets.map((to) => {
        const rows = table.sources.filter((from) => cells.has(cellKey(from.id, to.id)));
        return (
          <li key={to.id}>
            <h2>{endText(to, t)}<EndFloatingIps end={to} /></h2>
            {rows.length === 0 && <p className="quiet">{t("net.nothing")}</p>}
            {rows.map((from) => (
              <div key={from.id}>
                <h3>{t("net.from")} {endText(from, t)}</h3>
                <GrantList yard={yard} grants={cells.get(cellKey(from.id, to.id)) ?? []} declared={declared} />
              </div>
            ))}
          </li>
        );
      })}
    </ul>
  );
}

function EndFloatingIps({ end }: { end: ReachEnd }) {
  const { t } = useTexts();
  return <span className="quiet door">{(end.doors ?? []).join(", ") || t("net.noFloatingIp")}</span>;
}

function GrantList({ yard, grants, declared }: { yard: string; grants: ReachGrant[]; declared: string[] }) {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  return (
    <ul className="grants">
      {grants.map((grant) => (
        <li key={grant.what}>
          <span className={grant.blocked ? "tag blocked" : "tag"}>{grant.what}</span>
          <span className="quiet">{[...(grant.some ? [t("net.some")] : []), ...(grant.blocked ? [t("net.blocked")] : [])].join(", ")}</span>
          <ul>
            {grant.by.map((why) => {
              const text = grantSourceText(why, t);
              const group = why.kind === "rule" ? declared.find((name) => why.text.startsWith(`${name}: `)) : undefined;
              return (
                <li key={text}>
                  {text}{" "}
                  {canEdit && group !== undefined && (
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
