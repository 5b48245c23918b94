import { Button } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { Host, Replica, Service, Stack } from "../api/client";
import { hosts, stacks, useHasRole } from "../api/queries";
import { formatBytes } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { ContainerState } from "../components/container-state";
import { HostEvents } from "../components/container-events";
import { useHostActions } from "../components/host-actions";
import { UsageMeter } from "../components/meter";
import { QueryResult, Problem } from "../components/problem";
import { ReplaceHost } from "../components/replace-host";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { NotFound } from "./not-found";

export function HostPage() {
  const { t } = useTexts();
  const { id } = useParams({ from: "/hosts/$id" });
  const query = useQuery(hosts);
  return (
    <QueryResult query={query}>
      {(all) => {
        const host = all.find((h) => h.id === id);
        return host ? <HostDetails host={host} /> : <NotFound text={t("host.gone")} />;
      }}
    </QueryResult>
  );
}

function HostDetails({ host }: { host: Host }) {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  const navigate = useNavigate();
  const actions = useHostActions();
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const [replacing, setReplacing] = useState(false);
  const undrain = useMutation({ mutationFn: actions.undrain });
  const query = useQuery(stacks);
  const usage = host.report?.usage;
  const facts = host.facts;
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/hosts">{t("hosts.title")}</Link> /</span> {host.name}</h1>
        <StateMark state={host.health} />
        {host.reason && <span className="why">{host.reason}</span>}
        {host.replace && <span className="quiet">{t("hosts.marked")}</span>}
        {canEdit && (
          <div className="end">
            {host.drain
              ? <Button variant="default" onClick={() => undrain.mutate(host)} loading={undrain.isPending}>{t("hosts.undrain")}</Button>
              : <Button variant="default" onClick={() => setQuestion(actions.drain(host))}>{t("hosts.drain")}</Button>}
            <Button variant="default" onClick={() => setReplacing(true)}>{t("hosts.replace")}</Button>
            <Button
              variant="default"
              c="var(--bad)"
              onClick={() => {
                const remove = actions.remove(host);
                setQuestion({ ...remove, run: async () => { await remove.run(); await navigate({ to: "/hosts" }); } });
              }}
            >
              {t("hosts.remove")}
            </Button>
          </div>
        )}
      </div>
      {undrain.error && <Problem error={undrain.error} />}
      <div className="split">
        <section className="panel">
          <h2>{t("host.about")}</h2>
          <dl className="facts">
            {usage && (
              <>
                <dt>{t("hosts.memory")}</dt><dd><UsageMeter used={usage.memory} all={facts.memory} label={t("hosts.memory")} /></dd>
                <dt>{t("hosts.disk")}</dt><dd><UsageMeter used={usage.disk_used} all={usage.disk} label={t("hosts.disk")} /></dd>
                <dt>{t("hosts.load")}</dt><dd>{(usage.load / 100).toFixed(2)} <span className="quiet">/ {t("hosts.cpus", { n: facts.cpus })}</span></dd>
              </>
            )}
            {!usage && <><dt>{t("hosts.memory")}</dt><dd>{formatBytes(facts.memory)}</dd></>}
            <dt>{t("host.yard")}</dt><dd>{host.yard}</dd>
            <dt>{t("host.pool")}</dt><dd>{host.pool || <span className="quiet">{t("none")}</span>}</dd>
            <dt>{t("host.labels")}</dt>
            <dd className="tags">
              {Object.entries(host.labels).map(([key, value]) => <span key={key} className="tag mono">{key}={value}</span>)}
              {Object.keys(host.labels).length === 0 && <span className="quiet">{t("none")}</span>}
            </dd>
            <dt>{t("host.address")}</dt><dd>{host.address ?? <span className="quiet">{t("none")}</span>}</dd>
            <dt>{t("host.addresses")}</dt><dd>{facts.addresses.join(", ")}</dd>
            <dt>{t("host.mtu")}</dt><dd>{facts.mtu}</dd>
            <dt>{t("host.os")}</dt><dd>{[facts.os, facts.arch].filter(Boolean).join(", ")}</dd>
            <dt>{t("host.kernel")}</dt><dd>{facts.kernel}</dd>
            <dt>{t("host.docker")}</dt><dd>{facts.docker}</dd>
            <dt>{t("host.agent")}</dt><dd>{facts.agent}</dd>
            <dt>{t("hosts.seen")}</dt><dd><RelativeTime at={host.last_seen} /></dd>
            <dt>{t("host.joined")}</dt><dd><RelativeTime at={host.joined} /></dd>
            <dt>{t("host.id")}</dt><dd className="mono">{host.id}</dd>
          </dl>
        </section>
        <section className="panel">
          <h2>{t("host.runs")}</h2>
          <QueryResult query={query}>{(stacks) => <HostContainers host={host} stacks={stacks} />}</QueryResult>
        </section>
      </div>
      <CommandLine text={`stackyard host list --yard ${host.yard}`} />
      <HostEvents host={host} />
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
      <ReplaceHost host={replacing ? host : undefined} close={() => setReplacing(false)} />
    </div>
  );
}

function HostContainers({ host, stacks }: { host: Host; stacks: Stack[] }) {
  const { t } = useTexts();
  const containers: { stack: Stack; service: Service; replica: Replica }[] = stacks.flatMap((stack) =>
    stack.status.services.flatMap((service) =>
      service.replicas.filter((r) => r.host === host.id).map((replica) => ({ stack, service, replica })),
    ),
  );
  if (containers.length === 0) return <p className="empty">{t("host.runsNothing")}</p>;
  return (
    <table className="rows cards">
      <thead>
        <tr>
          <th scope="col">{t("stack.container")}</th>
          <th scope="col">{t("stacks.name")}</th>
          <th scope="col">{t("stack.state")}</th>
          <th scope="col" className="num">{t("stack.restarts")}</th>
        </tr>
      </thead>
      <tbody>
        {containers.map(({ stack, service, replica }) => (
          <tr key={`${stack.name} ${replica.name}`}>
            <td className="full strong">{replica.name} <span className="quiet mono">{replica.container?.slice(0, 12)}</span></td>
            <td data-label={t("stacks.name")}><Link to="/stacks/$yard/$name" params={{ yard: stack.yard, name: stack.name }}>{stack.name}</Link></td>
            <td data-label={t("stack.state")}><ContainerState replica={replica} service={service} /></td>
            <td data-label={t("stack.restarts")} className="num">{replica.restarts}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
