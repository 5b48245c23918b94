/** What happens to containers, the newest first. */
import { NativeSelect, Select } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import type { Host, Stack } from "../api/client";
import { HAPPENINGS, KEEP, ofHost, ofStack, streamAt, useHappened, type ContainerEvent, type Happening } from "../api/container-events";
import type { State } from "../api/health";
import { shell } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "./command-line";
import { replicaAt } from "./container-state";
import { StateMark } from "./state-mark";
import { Ago } from "./time";

const STATES: Record<Happening, State> = {
  created: "working", recreated: "working", started: "ok", restarted: "failing", died: "stopped", healthy: "ok", unhealthy: "failing", removed: "drained",
};

/** How something that happened is shown: an end with another status than 0 is bad. */
export function eventState(event: ContainerEvent): State {
  return event.what === "died" && (event.oom || (event.status ?? 0) !== 0) ? "failed" : STATES[event.what];
}

/** Events of a stack, of those containers that are chosen. */
export function StackEvents({ stack, only, choose }: { stack: Stack; only: string; choose: (only: string) => void }) {
  const { t } = useTexts();
  const [what, setWhat] = useState("");
  const names = stack.status.services.flatMap((s) => [s.name, ...s.replicas.map(replicaAt)]);
  const options = [{ value: "", label: t("logs.all") }, ...[...new Set(only ? [...names, only] : names)].map((name) => ({ value: name, label: name }))];
  const url = streamAt(ofStack(stack.yard, stack.name), only, what);
  return (
    <>
      <section className="panel">
        <View key={url} url={url} place={(event) => <Link to="/hosts/$id" params={{ id: event.host }}>{event.host_name}</Link>} placed={t("stack.host")}>
          <Select searchable aria-label={t("logs.of")} data={options} value={only} onChange={(value) => choose(value ?? "")} allowDeselect={false} />
          <Kinds what={what} choose={setWhat} />
        </View>
      </section>
      <CommandLine text={`stackyard stack events --yard ${shell(stack.yard)} ${shell(stack.name)}${only ? ` ${shell(only)}` : ""}${what ? ` --what ${what}` : ""} -f`} />
    </>
  );
}

/** Events on a host. */
export function HostEvents({ host }: { host: Host }) {
  const { t } = useTexts();
  const [what, setWhat] = useState("");
  const url = streamAt(ofHost(host.id), "", what);
  return (
    <>
      <section className="panel">
        <h2>{t("events.title")}</h2>
        <View key={url} url={url} place={(event) => <Link to="/stacks/$yard/$name" params={{ yard: event.yard, name: event.stack }}>{event.stack}</Link>} placed={t("stacks.name")}>
          <Kinds what={what} choose={setWhat} />
        </View>
      </section>
      <CommandLine text={`stackyard host events ${shell(`${host.yard}/${host.name}`)}${what ? ` --what ${what}` : ""} -f`} />
    </>
  );
}

function Kinds({ what, choose }: { what: string; choose: (what: string) => void }) {
  const { t } = useTexts();
  const data = [{ value: "", label: t("events.all") }, ...HAPPENINGS.map((value) => ({ value, label: t(`events.${value}`) }))];
  return <NativeSelect aria-label={t("events.what")} value={what} onChange={(e) => choose(e.currentTarget.value)} data={data} />;
}

interface ViewProps {
  url: string;
  /** Where something happened. */
  place: (event: ContainerEvent) => ReactNode;
  placed: string;
  /** The filters. */
  children: ReactNode;
}

function View({ url, place, placed, children }: ViewProps) {
  const { t } = useTexts();
  const { events, waits, live } = useHappened(url);
  return (
    <>
      <div className="logbar">
        {children}
        <span className="quiet" role="status">
          {t("events.n", { n: events.length })}
          {events.length >= KEEP && ` ${t("logs.older")}`}
          {!live && ` · ${t("events.away")}`}
        </span>
      </div>
      {waits ? <p className="empty">…</p> : <EventTable events={events} place={place} placed={placed} />}
    </>
  );
}

export function EventTable({ events, place, placed }: Pick<ViewProps, "place" | "placed"> & { events: ContainerEvent[] }) {
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
      <tbody>{events.toReversed().map((event) => <Row key={event.seq} event={event} place={place(event)} placed={placed} />)}</tbody>
    </table>
  );
}

function Row({ event, place, placed }: { event: ContainerEvent; place: ReactNode; placed: string }) {
  const { t } = useTexts();
  const words = [t(`events.${event.what}`)];
  if (event.status != null) words.push(t("events.status", { status: event.status }));
  if (event.oom) words.push(t("events.oom"));
  const line = event.lines.at(-1);
  return (
    <tr>
      <td data-label={t("access.at")}><Ago at={event.at} /></td>
      <td data-label={t("stack.container")} className="strong">{event.replica} <span className="quiet mono wide">{event.container.slice(0, 12)}</span></td>
      <td data-label={placed}>{place}</td>
      <td className="full"><StateMark state={eventState(event)} text={words.join(", ")} />{line && <div className="quiet mono">{line}</div>}</td>
    </tr>
  );
}
