import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import { IconDotsVertical, IconFileText, IconRefresh } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap, type Schemas } from "../api/client";
import { CLOUD_VIEWS, checkState, cloudServiceState, type CloudView, type LocalService } from "../api/local-cloud";
import { localCloud, localRuns, localServices, useHasRole } from "../api/queries";
import { formatBytes, shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { LogView } from "../components/logs";
import { QueryResult } from "../components/problem";
import { RunTable } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { NotFound } from "./not-found";

type LocalServices = Schemas["LocalServices"];

export default function CloudPage() {
  const { t } = useTexts();
  const isAdmin = useHasRole("admin");
  const query = useQuery({ ...localCloud, enabled: isAdmin });
  if (!isAdmin) return <NotFound text={t("cloud.admins")} />;
  return <QueryResult query={query}>{(view) => <CloudDetails cloud={view} />}</QueryResult>;
}

function CloudDetails({ cloud }: { cloud: Schemas["LocalView"] }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const { view = "services", logs } = useSearch({ from: "/cloud" });
  const services = useQuery(localServices);
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const able = cloud.obstacles.length === 0;
  const running = cloud.run?.state === "running" ? cloud.run : null;
  const show = (view: CloudView, logs?: string) => void navigate({ to: "/cloud", search: { view, ...(logs ? { logs } : {}) } });
  const follow = (run: { id: string }) => navigate({ to: "/cloud/runs/$run", params: { run: run.id } });
  const down = (purge: boolean): ConfirmRequest => ({
    title: t(purge ? "cloud.purgeTitle" : "cloud.downTitle"),
    text: t(purge ? "cloud.purgeText" : "cloud.downText"),
    button: t(purge ? "cloud.purge" : "cloud.down"),
    command: purge ? "stackyard cloud down --purge" : "stackyard cloud down",
    ...(purge ? { destructive: true, typed: { label: t("cloud.purgeConfirm"), text: "purge" } } : {}),
    run: async () => follow(await unwrap(api.POST("/api/v1/local/runs", { body: { kind: "down", ...(purge ? { purge: "purge" } : {}) } }))),
  });
  const commands: Record<CloudView, string> = {
    services: "stackyard cloud status",
    preflight: "stackyard cloud preflight",
    logs: `stackyard cloud logs -f${logs ? ` ${shellQuote(logs)}` : ""}`,
    runs: "stackyard cloud up",
  };
  return (
    <div className="page">
      <div className="head">
        <h1>{t("cloud.title")}</h1>
        {services.data && <CloudHealth services={services.data} there={cloud.there} />}
        <div className="end">
          <Button.Group>
            {CLOUD_VIEWS.map((one) => (
              <Button key={one} variant={view === one ? "light" : "default"} aria-pressed={view === one} onClick={() => show(one)}>{t(`cloud.view.${one}`)}</Button>
            ))}
          </Button.Group>
          {able && !running && <Button variant="filled" renderRoot={(props) => <Link to="/cloud/change" {...props} />}>{t(cloud.there ? "cloud.change" : "cloud.up")}</Button>}
          {able && !running && cloud.there && (
            <Menu position="bottom-end">
              <Menu.Target>
                <ActionIcon variant="default" size={30} aria-label={t("cloud.more")}><IconDotsVertical size={16} /></ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item onClick={() => setQuestion(down(false))}>{t("cloud.down")}</Menu.Item>
                <Menu.Item c="var(--bad)" onClick={() => setQuestion(down(true))}>{t("cloud.purge")}</Menu.Item>
              </Menu.Dropdown>
            </Menu>
          )}
        </div>
      </div>
      {running && (
        <div className="panel pad banner">
          <StateMark state="progressing" text={t(`cloud.kind.${cloudRunKind(running)}`)} />
          <span className="quiet">{running.actor}, <RelativeTime at={running.began} /></span>
          <Link to="/cloud/runs/$run" params={{ run: running.id }}>{t("run.follow", { done: running.steps.done, n: running.steps.all })}</Link>
        </div>
      )}
      {!able && (
        <section className="panel pad" aria-label={t("cloud.unable")}>
          <p className="strong">{t("cloud.unable")}</p>
          <ul className="notes">{cloud.obstacles.map((why) => <li key={why}>{why}</li>)}</ul>
        </section>
      )}
      {view === "services" && <QueryResult query={services}>{(all) => <ServiceTable services={all} logs={(name) => show("logs", name)} />}</QueryResult>}
      {view === "preflight" && <PreflightPanel />}
      {view === "logs" && (
        <QueryResult query={services}>
          {(all) => {
            const names = all.services.map((s) => s.service);
            const from = all.services.map((s) => s.container).sort().join();
            return <LogView path="/api/v1/local/logs" from={from} names={names} writers={names} alone only={logs ?? ""} choose={(only) => show("logs", only)} />;
          }}
        </QueryResult>
      )}
      {view === "runs" && <CloudRuns />}
      <CommandLine text={commands[view]} />
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
    </div>
  );
}

/** Kind of a run, as part of a text key. */
export function cloudRunKind(run: { kind: string }): "plan" | "up" | "down" {
  return run.kind === "up" || run.kind === "down" ? run.kind : "plan";
}

function CloudHealth({ services, there }: { services: LocalServices; there: boolean }) {
  const { t } = useTexts();
  const daemons = services.services.filter((s) => !s.job);
  if (services.services.length === 0) return <StateMark state="draining" text={t(there ? "cloud.isDown" : "cloud.none")} />;
  const well = daemons.filter((s) => s.ok).length;
  return (
    <>
      <StateMark state={services.healthy ? "ready" : "degraded"} text={t("cloud.well", { well, n: daemons.length })} />
      <span className="quiet">{t("cloud.memory", { size: formatBytes(services.memory) })}</span>
    </>
  );
}

function ServiceTable({ services, logs }: { services: LocalServices; logs: (name: string) => void }) {
  const { t } = useTexts();
  // Hide jobs that succeeded.
  const visibleServices = services.services.filter((s) => !s.job || !s.ok);
  return (
    <section className="panel">
      <div className="title">
        <h2>{t("cloud.view.services")}</h2>
        <span className="end quiet">{t("yard.looked")} <RelativeTime at={services.observed_at} /></span>
      </div>
      {services.error && <p className="pad why">{services.error}</p>}
      {visibleServices.length === 0 ? <p className="empty">{t("cloud.noServices")}</p> : (
        <table className="rows cards">
          <thead>
            <tr>
              <th scope="col">{t("stack.service")}</th>
              <th scope="col">{t("cloud.health")}</th>
              <th scope="col" className="num">{t("stack.restarts")}</th>
              <th scope="col">{t("cloud.started")}</th>
              <th scope="col" className="num">{t("hosts.memory")}</th>
              <th scope="col"><span className="hidden">{t("stack.tools")}</span></th>
            </tr>
          </thead>
          <tbody>{visibleServices.map((service) => <ServiceRow key={service.service} service={service} logs={logs} />)}</tbody>
        </table>
      )}
    </section>
  );
}

function ServiceRow({ service, logs }: { service: LocalService; logs: (name: string) => void }) {
  const { t } = useTexts();
  const { service: name } = service;
  const words = { healthy: "cloud.healthy", untested: "container.running", completed: "container.done", unhealthy: "container.unhealthy" } as const;
  const word = service.health === "down" && service.exit_status != null
    ? t("container.exited", { status: service.exit_status })
    : service.health in words ? t(words[service.health as keyof typeof words]) : t("cloud.stopped");
  return (
    <tr>
      <td className="full"><span className="strong">{name}</span>{service.job && <span className="quiet"> {t("stack.job")}</span>}</td>
      <td data-label={t("cloud.health")}>
        <StateMark state={cloudServiceState(service)} text={word} />
        {service.reason && <div className="why">{service.reason}</div>}
      </td>
      <td data-label={t("stack.restarts")} className="num">{service.restarts}</td>
      <td data-label={t("cloud.started")}><RelativeTime at={service.started} /></td>
      <td data-label={t("hosts.memory")} className="num nowrap">{service.memory != null ? formatBytes(service.memory) : "–"}</td>
      <td className="corner">
        <div className="tools">
          <Tooltip label={t("stack.logs")}>
            <ActionIcon variant="subtle" color="gray" onClick={() => logs(name)} aria-label={t("stack.showLogs", { name })}><IconFileText size={16} /></ActionIcon>
          </Tooltip>
        </div>
      </td>
    </tr>
  );
}

/** Preflight of the machine with the stored answers. */
function PreflightPanel() {
  const { t } = useTexts();
  const query = useQuery({
    queryKey: ["preflight"],
    queryFn: () => unwrap(api.POST("/api/v1/local/preflight", { body: {} })),
  });
  return (
    <QueryResult query={query}>
      {(report) => {
        const count = (result: string) => report.checks.filter((c) => c.result === result).length;
        return (
          <section className="panel">
            <div className="title">
              <h2>{t("cloud.view.preflight")}</h2>
              <span className="end quiet">
                {t("cloud.sum", { pass: count("pass"), info: count("info"), warn: count("warn"), fail: count("fail") })}{" "}
                <Button variant="subtle" size="compact-xs" loading={query.isFetching} leftSection={<IconRefresh size={13} />} onClick={() => void query.refetch()}>{t("cloud.again")}</Button>
              </span>
            </div>
            <PreflightTable checks={report.checks} />
          </section>
        );
      }}
    </QueryResult>
  );
}

/** Preflight checks: finding, consequence and fix. */
export function PreflightTable({ checks }: { checks: Schemas["PreflightCheck"][] }) {
  const { t } = useTexts();
  return (
    <table className="rows cards checks">
      <thead>
        <tr>
          <th scope="col">{t("access.result")}</th>
          <th scope="col">{t("cloud.check")}</th>
          <th scope="col">{t("cloud.seen")}</th>
        </tr>
      </thead>
      <tbody>
        {checks.map((check) => (
          <tr key={check.id}>
            <td><StateMark state={checkState(check)} text={t(`cloud.result.${check.result}`)} /></td>
            <td className="strong">{check.title}</td>
            <td className="full">
              {check.seen}
              {check.means && <div className="quiet">{check.means}</div>}
              {check.mend && (check.result === "warn" || check.result === "fail") && <div><span className="quiet">{t("cloud.fix")}</span> {check.mend}</div>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function CloudRuns() {
  const { t } = useTexts();
  const query = useQuery(localRuns);
  return (
    <section className="panel">
      <h2>{t("cloud.view.runs")}</h2>
      <QueryResult query={query}>
        {(all) => all.length === 0 ? <p className="empty">{t("cloud.noRuns")}</p> : (
          <RunTable runs={all} what={(run) => <Link to="/cloud/runs/$run" params={{ run: run.id }}>{t(`cloud.kind.${cloudRunKind(run)}`)}</Link>} />
        )}
      </QueryResult>
    </section>
  );
}
