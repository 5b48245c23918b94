import { Button } from "@mantine/core";
import { IconNetwork, IconPencil, IconRefresh, IconSitemap, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../api/client";
import { manifests, runs, useHasRole, yards, yardStatus } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { kindText } from "../components/plan-view";
import { QueryResult } from "../components/problem";
import { Quotas } from "../components/quotas";
import { RemoveYard } from "../components/remove-yard";
import { RunTable } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { NotFound } from "./not-found";
import { YardHealth } from "./yards";

/** Views of the yard page. */
export const YARD_PAGE_VIEWS = ["resources", "history"] as const;
export type YardPageView = (typeof YARD_PAGE_VIEWS)[number];

export function YardPage() {
  const { t } = useTexts();
  const { yard } = useParams({ from: "/yards/$yard" });
  const query = useQuery(yards);
  const historyQuery = useQuery(manifests(yard));
  return (
    <QueryResult query={query}>
      {(all) => {
        const found = all.find((one) => one.name === yard);
        if (found) return <YardDetails yard={found} />;
        if (historyQuery.data === undefined || historyQuery.data.length > 0) return <RemovedYard yard={yard} />;
        return <NotFound text={t("yard.gone")} />;
      }}
    </QueryResult>
  );
}

type Yard = Schemas["YardView"];

function YardDetails({ yard }: { yard: Yard }) {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  const navigate = useNavigate();
  const { view = "resources" } = useSearch({ from: "/yards/$yard" });
  const [removing, setRemoving] = useState(false);
  const status = useQuery(yardStatus(yard.name));
  const activeRun = yard.run?.state === "running" ? yard.run : null;
  const params = { yard: yard.name };
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> /</span> {yard.name}</h1>
        <YardHealth yard={yard} status={status.data} />
        <div className="end">
          <Button.Group>
            {YARD_PAGE_VIEWS.map((one) => (
              <Button key={one} variant={one === view ? "light" : "default"} aria-pressed={one === view} onClick={() => void navigate({ to: "/yards/$yard", params, search: { view: one } })}>{t(`yard.view.${one}`)}</Button>
            ))}
          </Button.Group>
          <Button variant="default" leftSection={<IconSitemap size={15} />} renderRoot={(props) => <Link to="/yards/$yard/picture" params={params} {...props} />}>{t("topology.title")}</Button>
          <Button variant="default" leftSection={<IconNetwork size={15} />} renderRoot={(props) => <Link to="/yards/$yard/network" params={params} {...props} />}>{t("net.title")}</Button>
          {canEdit && <Button variant="default" leftSection={<IconPencil size={15} />} renderRoot={(props) => <Link to="/yards/$yard/edit" params={params} {...props} />}>{t("yard.edit")}</Button>}
          {canEdit && <Button variant="default" c="var(--bad)" leftSection={<IconTrash size={15} />} disabled={activeRun !== null} onClick={() => setRemoving(true)}>{t("yard.remove")}</Button>}
        </div>
      </div>
      {activeRun && (
        <p className="panel pad banner" role="status">
          <StateMark state="progressing" text={t("run.by", { kind: t(`run.kind.${activeRun.kind}`), who: activeRun.actor })} />
          <Link to="/yards/$yard/runs/$run" params={{ ...params, run: activeRun.id }}>{t("run.follow", { done: activeRun.steps.done, n: activeRun.steps.all })}</Link>
        </p>
      )}
      {view === "resources" && <QueryResult query={status}>{(found) => <ResourceTable status={found} again={() => void status.refetch()} looking={status.isFetching} />}</QueryResult>}
      {view === "history" && <YardHistory yard={yard.name} revision={yard.revision} canEdit={canEdit} />}
      <CommandLine text={`stackyard ${view === "history" ? "up" : "status"} -f ${shellQuote(`${yard.name}.yaml`)}`} />
      <RemoveYard yard={yard.name} opened={removing} close={() => setRemoving(false)} />
    </div>
  );
}

/** A removed yard with its history, from which it can be created again. */
function RemovedYard({ yard }: { yard: string }) {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> /</span> {yard}</h1>
        <StateMark state="draining" text={t("yard.removed")} />
      </div>
      <YardHistory yard={yard} revision={null} canEdit={canEdit} />
    </div>
  );
}

/** A resource that is ready but differs from the manifest waits for the next run. */
function ResourceState({ resource }: { resource: Schemas["ResourceStatus"] }) {
  const { t } = useTexts();
  const differs = resource.health === "ready" && resource.planned !== "keep";
  const text = resource.planned === "remove" ? t("resource.unlisted")
    : differs ? t(resource.reason ? "resource.replace" : "resource.differs")
    : t(`state.${resource.health}`);
  return (
    <>
      <StateMark state={differs ? "waiting" : resource.health} text={text} />
      {resource.reason && <div className="why">{resource.reason}</div>}
    </>
  );
}

function ResourceTable({ status, again, looking }: { status: Schemas["YardStatus"]; again: () => void; looking: boolean }) {
  const { t } = useTexts();
  return (
    <div className="split right">
      <section className="panel">
        <div className="title">
          <h2>{t("yard.resources")}</h2>
          <span className="end quiet">{t("yard.looked")} <RelativeTime at={status.observed_at} /> <Button variant="subtle" size="compact-xs" loading={looking} leftSection={<IconRefresh size={13} />} onClick={again}>{t("yard.again")}</Button></span>
        </div>
        {status.error && <p className="pad why">{status.error}</p>}
        <table className="rows cards">
          <thead>
            <tr>
              <th scope="col">{t("yard.kind")}</th>
              <th scope="col">{t("access.name")}</th>
              <th scope="col">{t("hosts.state")}</th>
              <th scope="col">{t("yard.detail")}</th>
            </tr>
          </thead>
          <tbody>
            {status.resources.map((resource) => (
              <tr key={`${resource.kind} ${resource.name} ${resource.id ?? ""}`}>
                <td data-label={t("yard.kind")}>{kindText(resource.kind)}</td>
                <td data-label={t("access.name")}><span className="strong">{resource.name}</span></td>
                <td data-label={t("hosts.state")}>
                  <ResourceState resource={resource} />
                </td>
                <td data-label={t("yard.detail")}><span className="mono">{resource.detail}</span></td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {status.quotas.length > 0 && (
        <section className="panel">
          <h2>{t("yard.quotas")}</h2>
          <div className="pad"><Quotas quotas={status.quotas} /></div>
        </section>
      )}
    </div>
  );
}

function YardHistory({ yard, revision, canEdit }: { yard: string; revision: number | null; canEdit: boolean }) {
  const { t } = useTexts();
  const [runQuery, manifestQuery] = [useQuery(runs(yard)), useQuery(manifests(yard))];
  return (
    <>
      <section className="panel">
        <h2>{t("yard.runs")}</h2>
        <QueryResult query={runQuery}>
          {(all) => all.length === 0 ? <p className="empty">{t("yard.noRuns")}</p> : (
            <RunTable
              runs={all}
              what={(run) => <Link to="/yards/$yard/runs/$run" params={{ yard, run: run.id }}>{t(`run.kind.${run.kind}`)}</Link>}
              why={(run) => run.error && <div className="why">{run.error.split("\n")[0]}</div>}
            />
          )}
        </QueryResult>
      </section>
      <section className="panel">
        <h2>{t("yard.manifests")}</h2>
        <QueryResult query={manifestQuery}>
          {(all) => (
            <table className="rows cards">
              <thead>
                <tr>
                  <th scope="col">{t("access.at")}</th>
                  <th scope="col">{t("access.who")}</th>
                  <th scope="col"><span className="hidden">{t("stack.tools")}</span></th>
                </tr>
              </thead>
              <tbody>
                {all.map((one) => (
                  <tr key={one.revision}>
                    <td data-label={t("access.at")}><RelativeTime at={one.kept} /></td>
                    <td data-label={t("access.who")}>{one.actor || "–"}</td>
                    <td className="corner">
                      <div className="tools">
                        {one.revision === revision ? <span className="tag">{t("yard.current")}</span>
                          : canEdit && <Link to="/yards/$yard/edit" params={{ yard }} search={{ revision: one.revision }}>{t("yard.revert")}</Link>}
                      </div>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </QueryResult>
      </section>
    </>
  );
}
