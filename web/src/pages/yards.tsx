import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "../api/client";
import { useHasRole, yards, yardStatus } from "../api/queries";
import { runState } from "../api/runs";
import { useTexts } from "../i18n";
import { CopyableText, CommandLine } from "../components/command-line";
import { QueryResult } from "../components/problem";
import { Quotas } from "../components/quotas";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";

export function YardsPage() {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  const query = useQuery(yards);
  return (
    <div className="page">
      <div className="head">
        <h1>{t("yards.title")}</h1>
        {canEdit && <div className="end"><Button variant="default" renderRoot={(props) => <Link to="/yards/new" {...props} />} leftSection={<IconPlus size={15} />}>{t("yards.new")}</Button></div>}
      </div>
      <section className="panel">
        <QueryResult query={query}>
          {(all) => all.length === 0 ? (
            <div className="empty form">
              <p>{t("yards.empty")}</p>
              <div><CopyableText text="stackyard init && stackyard up" /></div>
            </div>
          ) : (
            <table className="rows cards">
              <thead>
                <tr>
                  <th scope="col">{t("host.yard")}</th>
                  <th scope="col">{t("hosts.state")}</th>
                  <th scope="col">{t("yard.cloud")}</th>
                  <th scope="col" className="num">{t("yard.resources")}</th>
                  <th scope="col">{t("yard.quota")}</th>
                  <th scope="col">{t("yard.lastRun")}</th>
                </tr>
              </thead>
              <tbody>{all.map((yard) => <YardRow key={yard.name} yard={yard} />)}</tbody>
            </table>
          )}
        </QueryResult>
      </section>
      <CommandLine text="stackyard status" />
    </div>
  );
}

type Yard = Schemas["YardView"];

function YardRow({ yard }: { yard: Yard }) {
  const { t } = useTexts();
  const status = useQuery(yardStatus(yard.name));
  const found = status.data;
  return (
    <tr>
      <td className="full"><Link className="strong" to="/yards/$yard" params={{ yard: yard.name }}>{yard.name}</Link></td>
      <td data-label={t("hosts.state")}><YardHealth yard={yard} status={found} /></td>
      <td data-label={t("yard.cloud")}>{found?.cloud ?? yard.cloud ?? <span className="quiet">{t("yard.cloudDefault")}</span>}</td>
      <td data-label={t("yard.resources")} className="num">{found && found.health !== "unknown" ? found.resources.length : "–"}</td>
      <td data-label={t("yard.quota")}>{found && <Quotas quotas={found.quotas} only={["instances", "cores", "ram"]} />}</td>
      <td data-label={t("yard.lastRun")}>
        {yard.run ? (
          <Link to="/yards/$yard/runs/$run" params={{ yard: yard.name, run: yard.run.id }}>
            <StateMark state={runState(yard.run)} text={t(`run.state.${yard.run.state}`)} /> <RelativeTime at={yard.run.began} />
          </Link>
        ) : <span className="quiet">{t("yard.byHand")} <RelativeTime at={yard.updated} /></span>}
      </td>
    </tr>
  );
}

/** State of a yard, or its active run. */
export function YardHealth({ yard, status }: { yard: Pick<Yard, "run">; status: Schemas["YardStatus"] | undefined }) {
  const { t } = useTexts();
  if (yard.run?.state === "running") return <StateMark state="progressing" text={t(`run.kind.${yard.run.kind}`)} />;
  if (!status) return <StateMark state="waiting" text={t("loading")} />;
  return (
    <>
      {status.health === "ready"
        ? <StateMark state={status.in_sync ? "ready" : "waiting"} text={t(status.in_sync ? "yard.inSync" : "yard.differs")} />
        : <StateMark state={status.health} />}
      {status.error && <div className="why">{status.error}</div>}
    </>
  );
}
