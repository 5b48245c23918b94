import { Button } from "@mantine/core";
import { IconNetwork, IconPencil, IconRefresh, IconSitemap, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../api/client";
import type { State } from "../api/health";
import { manifests, runs, useMay, yards, yardStatus } from "../api/queries";
import { shell } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { noun } from "../components/plan-view";
import { Loaded } from "../components/problem";
import { Quotas } from "../components/quotas";
import { RemoveYard } from "../components/remove-yard";
import { RunTable } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { Ago } from "../components/time";
import { Missing } from "./not-found";
import { Standing } from "./yards";

/** What of a yard a page shows. */
export const VIEWS = ["resources", "history"] as const;
export type View = (typeof VIEWS)[number];

export function YardPage() {
  const { t } = useTexts();
  const { yard } = useParams({ from: "/yards/$yard" });
  const query = useQuery(yards);
  const past = useQuery(manifests(yard));
  return (
    <Loaded query={query}>
      {(all) => {
        const found = all.find((one) => one.name === yard);
        if (found) return <Page yard={found} />;
        if (past.data === undefined || past.data.length > 0) return <Gone yard={yard} />;
        return <Missing text={t("yard.gone")} />;
      }}
    </Loaded>
  );
}

type Yard = Schemas["YardView"];

function Page({ yard }: { yard: Yard }) {
  const { t } = useTexts();
  const may = useMay("operator");
  const navigate = useNavigate();
  const { view = "resources" } = useSearch({ from: "/yards/$yard" });
  const [removing, setRemoving] = useState(false);
  const status = useQuery(yardStatus(yard.name));
  const going = yard.run?.state === "running" ? yard.run : null;
  const params = { yard: yard.name };
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> /</span> {yard.name}</h1>
        <Standing yard={yard} status={status.data} />
        <div className="end">
          <Button.Group>
            {VIEWS.map((one) => (
              <Button key={one} variant={one === view ? "light" : "default"} aria-pressed={one === view} onClick={() => void navigate({ to: "/yards/$yard", params, search: { view: one } })}>{t(`yard.view.${one}`)}</Button>
            ))}
          </Button.Group>
          <Button variant="default" leftSection={<IconSitemap size={15} />} renderRoot={(props) => <Link to="/yards/$yard/picture" params={params} {...props} />}>{t("picture.title")}</Button>
          <Button variant="default" leftSection={<IconNetwork size={15} />} renderRoot={(props) => <Link to="/yards/$yard/network" params={params} {...props} />}>{t("net.title")}</Button>
          {may && <Button variant="default" leftSection={<IconPencil size={15} />} renderRoot={(props) => <Link to="/yards/$yard/edit" params={params} {...props} />}>{t("yard.edit")}</Button>}
          {may && <Button variant="default" c="var(--bad)" leftSection={<IconTrash size={15} />} disabled={going !== null} onClick={() => setRemoving(true)}>{t("yard.remove")}</Button>}
        </div>
      </div>
      {going && (
        <p className="panel pad banner" role="status">
          <StateMark state="working" text={t("run.by", { kind: t(`run.kind.${going.kind}`), who: going.who })} />
          <Link to="/yards/$yard/runs/$run" params={{ ...params, run: going.id }}>{t("run.follow", { done: going.steps.done, n: going.steps.all })}</Link>
        </p>
      )}
      {view === "resources" && <Loaded query={status}>{(found) => <Resources status={found} again={() => void status.refetch()} looking={status.isFetching} />}</Loaded>}
      {view === "history" && <History yard={yard.name} revision={yard.revision} may={may} />}
      <CommandLine text={`stackyard ${view === "history" ? "up" : "status"} -f ${shell(`${yard.name}.yaml`)}`} />
      <RemoveYard yard={yard.name} opened={removing} close={() => setRemoving(false)} />
    </div>
  );
}

/** A yard that was removed: what it was like can be had again. */
function Gone({ yard }: { yard: string }) {
  const { t } = useTexts();
  const may = useMay("operator");
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> /</span> {yard}</h1>
        <StateMark state="drained" text={t("yard.removed")} />
      </div>
      <History yard={yard} revision={null} may={may} />
    </div>
  );
}

const RESOURCE_STATES: Record<Schemas["ResourceState"], State> = {
  ok: "ok", missing: "failed", unwanted: "failing", differs: "failing", pending: "working", stopped: "drained", set_apart: "drained", marked: "waiting", broken: "failed",
};

function Resources({ status, again, looking }: { status: Schemas["YardStatus"]; again: () => void; looking: boolean }) {
  const { t } = useTexts();
  return (
    <div className="split right">
      <section className="panel">
        <div className="title">
          <h2>{t("yard.resources")}</h2>
          <span className="end quiet">{t("yard.looked")} <Ago at={status.looked} /> <Button variant="subtle" size="compact-xs" loading={looking} leftSection={<IconRefresh size={13} />} onClick={again}>{t("yard.again")}</Button></span>
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
                <td data-label={t("yard.kind")}>{noun(resource.kind)}</td>
                <td data-label={t("access.name")}><span className="strong">{resource.name}</span></td>
                <td data-label={t("hosts.state")}>
                  <StateMark state={RESOURCE_STATES[resource.state]} text={t(`resource.${resource.state}`)} />
                  {resource.why && <div className="why">{resource.why}</div>}
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

function History({ yard, revision, may }: { yard: string; revision: number | null; may: boolean }) {
  const { t } = useTexts();
  const [done, past] = [useQuery(runs(yard)), useQuery(manifests(yard))];
  return (
    <>
      <section className="panel">
        <h2>{t("yard.runs")}</h2>
        <Loaded query={done}>
          {(all) => all.length === 0 ? <p className="empty">{t("yard.noRuns")}</p> : (
            <RunTable
              runs={all}
              what={(run) => <Link to="/yards/$yard/runs/$run" params={{ yard, run: run.id }}>{t(`run.kind.${run.kind}`)}</Link>}
              why={(run) => run.error && <div className="why">{run.error.split("\n")[0]}</div>}
            />
          )}
        </Loaded>
      </section>
      <section className="panel">
        <h2>{t("yard.manifests")}</h2>
        <Loaded query={past}>
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
                    <td data-label={t("access.at")}><Ago at={one.kept} /></td>
                    <td data-label={t("access.who")}>{one.who || "–"}</td>
                    <td className="corner">
                      <div className="tools">
                        {one.revision === revision ? <span className="tag">{t("yard.current")}</span>
                          : may && <Link to="/yards/$yard/edit" params={{ yard }} search={{ revision: one.revision }}>{t("yard.revert")}</Link>}
                      </div>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </Loaded>
      </section>
    </>
  );
}
