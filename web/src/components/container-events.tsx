/** Events of containers, newest first. */
import { NativeSelect, Select } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import type { Host, Stack } from "../api/client";
import { CONTAINER_EVENT_KINDS, EVENT_LIMIT, hostEventsPath, stackEventsPath, eventStreamUrl, useContainerEvents, type ContainerEvent, type ContainerEventKind } from "../api/container-events";
import type { HealthState } from "../api/health";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "./command-line";
import { replicaKey } from "./container-state";
import { StateMark } from "./state-mark";
import { RelativeTime } from "./time";

const EVENT_STATES: Record<ContainerEventKind, HealthState> = {
  created: "progressing", recreated: "progressing", started: "ready", restarted: "degraded", died: "draining", healthy: "ready", unhealthy: "degraded", removed: "draining",
};

/** State of an event. An exit with a status other than 0 is a failure. */
export function eventState(event: ContainerEvent): HealthState {
  return event.kind === "died" && (event.oom || (event.status ?? 0) !== 0) ? "failed" : EVENT_STATES[event.kind];
}

/** Events of a stack's containers, with filters. */
export function StackEvents({ stack, only, choose }: { stack: Stack; only: string; choose: (only: string) => void }) {
  const { t } = useTexts();
  const [kind, setKind] = useState("");
  const names = stack.status.services.flatMap((s) => [s.name, ...s.replicas.map(replicaKey)]);
  const options = [{ value: "", label: t("logs.all") }, ...[...new Set(only ? [...names, only] : names)].map((name) => ({ value: name, label: name }))];
  const url = eventStreamUrl(stackEventsPath(stack.yard, stack.name), only, kind);
  return (
    <>
      <section className="panel">
        <EventView key={url} url={url} place={(event) => <Link to="/hosts/$id" params={{ id: event.host }}>{event.host_name}</Link>} placed={t("stack.host")}>
          <Select searchable aria-label={t("logs.of")} data={options} value={only} onChange={(value) => choose(value ?? "")} allowDeselect={false} />
          <EventKindFilter kind={kind} choose={setKind} />
        </EventView>
      </section>
      <CommandLine text={`stackyard stack events --yard ${shellQuote(stack.yard)} ${shellQuote(stack.name)}${only ? ` ${shellQuote(only)}` : ""}${kind ? ` --kind ${kind}` : ""} -f`} />
    </>
  );
}

/** Events on a host. */
export function HostEvents({ host }: { host: Host }) {
  const { t } = useTexts();
  const [kind, setKind] = useState("");
  const url = eventStreamUrl(hostEventsPath(host.id), "", kind);
  return (
    <>
      <section className="panel">
        <h2>{t("events.title")}</h2>
        <EventView key={url} url={url} place={(event) => <Link to="/stacks/$yard/$name" params={{ yard: event.yard, name: event.stack }}>{event.stack}</Link>} placed={t("stacks.name")}>
          <EventKindFilter kind={kind} choose={setKind} />
        </EventView>
      </section>
      <CommandLine text={`stackyard host events ${shellQuote(`${host.yard}/${host.name}`)}${kind ? ` --kind ${kind}` : ""} -f`} />
    </>
  );
}

function EventKindFilter({ kind, choose }: { kind: string; choose: (kind: string) => void }) {
  const { t } = useTexts();
  const data = [{ value: "", label: t("events.all") }, ...CONTAINER_EVENT_KINDS.map((value) => ({ value, label: t(`events.${value}`) }))];
  return <NativeSelect aria-label={t("events.what")} value={kind} onChange={(e) => choose(e.currentTarget.value)} data={data} />;
}

interface EventViewProps {
  url: string;
  /** Renders the host or stack of an event. */
  place: (event: ContainerEvent) => ReactNode;
  placed: string;
  /** Filter fields. */
  children: ReactNode;
}

function EventView({ url, place, placed, children }: EventViewProps) {
  const { t } = useTexts();
  const { events, pending, live } = useContainerEvents(url);
  return (
    <>
      <div className="logbar">
        {children}
        <span className="quiet" role="status">
          {t("events.n", { n: events.length })}
          {events.length >= EVENT_LIMIT && ` ${t("logs.older")}`}
          {!live && ` · ${t("events.away")}`}
        </span>
      </div>
      {pending ? <p className="empty">…</p> : <EventTable events={events} place={place} placed={placed} />}
    </>
  );
}

export function EventTable({ events, place, placed }: Pick<EventViewProps, "place" | "placed"> & { events: ContainerEvent[] }) {
  const { t } = useTexts();
  if (events.length === 0) return <p className="empty">{t("events.none")}</p>;
  return (
    <table className="rows cards">
      <thead>
        <tr>
          <th scope="col">{t("access.at")}</th>
          <th scope="col">{t("stack.container")}</th>
          <th scope="col">{placed}</th>
          <th scope="col">{t("events.what")}</th>
        </tr>
      </thead>
      <tbody>{events.toReversed().map((event) => <EventRow key={event.seq} event={event} place={place(event)} placed={placed} />)}</tbody>
    </table>
  );
}

function EventRow({ event, place, placed }: { event: ContainerEvent; place: ReactNode; placed: string }) {
  const { t } = useTexts();
  const texts = [t(`events.${event.kind}`)];
  if (event.status != null) texts.push(t("events.status", { status: event.status }));
  if (event.oom) texts.push(t("events.oom"));
  const line = event.lines.at(-1);
  return (
    <tr>
      <td data-label={t("access.at")}><RelativeTime at={event.at} /></td>
      <td data-label={t("stack.container")} className="strong">{event.replica} <span className="quiet mono wide">{event.container.slice(0, 12)}</span></td>
      <td data-label={placed}>{place}</td>
      <td className="full"><StateMark state={eventState(event)} text={texts.join(", ")} />{line && <div className="quiet mono">{line}</div>}</td>
    </tr>
  );
}
