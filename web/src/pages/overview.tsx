import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Host, Stack } from "../api/client";
import { replicaCounts, groupByYard, stackState, type HealthState, type YardGroup } from "../api/health";
import { hosts, server, stacks, yards } from "../api/queries";
import { formatBytes } from "../format";
import { useTexts } from "../i18n";
import { CopyableText, CommandLine } from "../components/command-line";
import { QueryResult } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";

export function OverviewPage() {
  const { t } = useTexts();
  const [hostQuery, stackQuery, yardQuery] = [useQuery(hosts), useQuery(stacks), useQuery(yards)];
  return (
    <div className="page">
      <div className="head"><h1>{t("nav.overview")}</h1></div>
      <QueryResult query={hostQuery}>
        {(hosts) => <QueryResult query={stackQuery}>
          {(stacks) => <QueryResult query={yardQuery}>
            {(yards) => <Overview hosts={hosts} stacks={stacks} yards={groupByYard(yards.map((y) => y.name), hosts, stacks)} />}
          </QueryResult>}
        </QueryResult>}
      </QueryResult>
      <CommandLine text="stackyard host list && stackyard stack list" />
    </div>
  );
}

interface AttentionItem {
  key: string;
  state: HealthState;
  link: React.ReactNode;
  text: string;
}

function Overview({ hosts, stacks, yards }: { hosts: Host[]; stacks: Stack[]; yards: YardGroup[] }) {
  const { t } = useTexts();
  if (yards.length === 0) {
    return (
      <section className="panel">
        <h2>{t("overview.nothing")}</h2>
        <div className="pad form">
          <p>{t("overview.first")}</p>
          <div><CopyableText text="stackyard host join --yard YARD" /></div>
          <div><CopyableText text="stackyard stack deploy -f compose.yaml --yard YARD" /></div>
        </div>
      </section>
    );
  }
  const all = stacks.map(replicaCounts);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const awayHosts: AttentionItem[] = hosts
    .filter((h) => !h.connected)
    .map((h) => ({ key: h.id, state: "unknown", link: <HostLink host={h} />, text: t("overview.isAway") }));
  const hostErrors: AttentionItem[] = hosts.flatMap((h) =>
    Object.entries(h.report?.parts ?? {}).flatMap(([stack, part]) =>
      part.error ? [{ key: `${h.id} ${stack}`, state: "degraded" as const, link: <HostLink host={h} />, text: `${stack}: ${part.error}` }] : [],
    ),
  );
  const stackProblems: AttentionItem[] = stacks.flatMap((s) => {
    const state = stackState(s);
    return state === "degraded" || state === "failed"
      ? [{ key: `${s.yard}/${s.name}`, state, link: <StackLink stack={s} />, text: s.status.reasons.join("\n") }]
      : [];
  });
  const problems = [...awayHosts, ...stackProblems, ...hostErrors];
  const memory = { used: sum(hosts.map((h) => h.report?.usage.memory ?? 0)), all: sum(hosts.map((h) => h.facts.memory)) };
  return (
    <>
      <dl className="panel figures">
        <SummaryFigure name={t("overview.hosts")} value={t("overview.of", { ready: hosts.filter((h) => h.connected).length, n: hosts.length })} note={t("overview.connected")} />
        <SummaryFigure name={t("overview.stacks")} value={t("overview.of", { ready: stacks.filter((s) => stackState(s) === "ready").length, n: stacks.length })} note={t("overview.working")} />
        <SummaryFigure name={t("overview.containers")} value={t("overview.of", { ready: sum(all.map((c) => c.ready)), n: sum(all.map((c) => c.desired)) })} note={t("overview.working")} />
        <SummaryFigure name={t("overview.memory")} value={t("overview.of", { ready: formatBytes(memory.used), n: formatBytes(memory.all) })} note={t("overview.inUse")} />
      </dl>
      <section className="panel">
        <h2>{t("overview.attention")}</h2>
        {problems.length === 0 ? (
          <p className="pad"><StateMark state="ready" text={t("overview.allWell")} /></p>
        ) : (
          <ul className="attention">
            {problems.map((one) => (
              <li key={one.key}>
                <StateMark state={one.state} />
                <p>{one.link} <span className="quiet">{one.text}</span></p>
              </li>
            ))}
          </ul>
        )}
      </section>
      <div className="yards">{yards.map((yard) => <YardPanel key={yard.name} yard={yard} />)}<ServerPanel /></div>
    </>
  );
}

function SummaryFigure({ name, value, note }: { name: string; value: string; note: string }) {
  return <div><dt>{name}</dt><dd>{value} <small>{note}</small></dd></div>;
}

function HostLink({ host }: { host: Host }) {
  return <Link to="/hosts/$id" params={{ id: host.id }}>{host.name}</Link>;
}

function StackLink({ stack }: { stack: Stack }) {
  return <Link to="/stacks/$yard/$name" params={{ yard: stack.yard, name: stack.name }}>{stack.name}</Link>;
}

function YardPanel({ yard }: { yard: YardGroup }) {
  const { t } = useTexts();
  return (
    <section className="panel yard" aria-label={yard.name}>
      <div className="title">
        <h2>{yard.name}</h2>
        <Link to="/yards/$yard/picture" params={{ yard: yard.name }} aria-label={t("topology.of", { name: yard.name })}>{t("topology.title")}</Link>
        <span className="end"><StateMark state={yard.state} /></span>
      </div>
      <h3>{t("overview.stacks")}</h3>
      <ul>
        {yard.stacks.length === 0 && <li className="quiet">{t("overview.noStacks")}</li>}
        {yard.stacks.map((stack) => {
          const { ready, desired } = replicaCounts(stack);
          return (
            <li key={stack.name}>
              <StateMark state={stackState(stack)} {...(stack.removing ? { text: t("state.removing") } : {})} />
              <StackLink stack={stack} />
              <span className="quiet">{t("stacks.of", { ready, n: desired })}</span>
            </li>
          );
        })}
      </ul>
      <h3>{t("overview.hosts")}</h3>
      <ul>
        {yard.hosts.length === 0 && <li className="quiet">{t("overview.noHosts")}</li>}
        {yard.hosts.map((host) => {
          const used = host.report?.usage.memory;
          return (
            <li key={host.id}>
              <StateMark state={host.health} />
              <span><HostLink host={host} /> <span className="quiet">{host.address}</span></span>
              <span className="quiet">{used !== undefined ? `${formatBytes(used)} / ${formatBytes(host.facts.memory)}` : t("hosts.noReport")}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function ServerPanel() {
  const { t } = useTexts();
  const query = useQuery(server);
  const { data } = useQuery(hosts);
  return (
    <section className="panel">
      <h2>{t("server.title")}</h2>
      <QueryResult query={query}>
        {(server) => (
          <dl className="facts">
            <dt>{t("server.url")}</dt><dd>{server.url}</dd>
            <dt>{t("server.version")}</dt><dd>{server.version}</dd>
            <dt>{t("server.since")}</dt><dd><RelativeTime at={server.started} /></dd>
            <dt>{t("server.agents")}</dt><dd>{data?.filter((h) => h.connected).length ?? server.connected}</dd>
            <dt>{t("server.database")}</dt><dd>{server.database}</dd>
            <dt>{t("server.ca")}</dt><dd className="mono">{server.ca_sha256}</dd>
          </dl>
        )}
      </QueryResult>
    </section>
  );
}
