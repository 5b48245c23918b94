import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { IconArrowBackUp, IconArrowUp, IconMinus, IconPlus, IconTerminal2, IconFileText } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Fragment, lazy, Suspense, useState } from "react";
import { api, unwrap, type Replica, type Service, type Stack } from "../api/client";
import { isJob, stackState } from "../api/health";
import { stacks, useHasRole } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { NamedDialog } from "../components/dialog";
import { ContainerState, replicaKey } from "../components/container-state";
import { StackEvents } from "../components/container-events";
import { StackLogs } from "../components/logs";
import { QueryResult, Problem } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { NotFound } from "./not-found";

const Terminal = lazy(() => import("../components/terminal"));
const StackUpdate = lazy(() => import("../components/stack-update"));

export function StackPage() {
  const { t } = useTexts();
  const { yard, name } = useParams({ from: "/stacks/$yard/$name" });
  const query = useQuery(stacks);
  return (
    <QueryResult query={query}>
      {(all) => {
        const stack = all.find((s) => s.yard === yard && s.name === name);
        return stack ? <StackDetails stack={stack} /> : <NotFound text={t("stack.gone")} />;
      }}
    </QueryResult>
  );
}

/** A `stackyard stack` command for a stack. */
export function stackCommand(stack: Stack, verb: string, ...rest: string[]): string {
  return ["stackyard stack", verb, "--yard", shellQuote(stack.yard), shellQuote(stack.name), ...rest].join(" ");
}

function StackDetails({ stack }: { stack: Stack }) {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  const navigate = useNavigate();
  const { logs, events } = useSearch({ from: "/stacks/$yard/$name" });
  const view = events !== undefined ? "events" : logs === undefined ? "services" : "logs";
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const [terminal, setTerminal] = useState<string | null>(null);
  const [updating, setUpdating] = useState(false);
  const path = { yard: stack.yard, stack: stack.name };
  const show = (only: string | undefined) => {
    const search = only === undefined ? {} : { logs: only };
    void navigate({ to: "/stacks/$yard/$name", params: { yard: stack.yard, name: stack.name }, search });
  };
  const showEvents = (only: string) =>
    void navigate({ to: "/stacks/$yard/$name", params: { yard: stack.yard, name: stack.name }, search: { events: only } });
  const back = typeof stack.previous === "number";
  const rollback = (): ConfirmRequest => ({
    title: t("stack.rollbackTitle", { name: stack.name }),
    text: t("stack.rollbackText"),
    button: t("stack.rollback"),
    command: stackCommand(stack, "rollback"),
    run: () => unwrap(api.POST("/api/v1/yards/{yard}/stacks/{stack}/rollback", { params: { path } })),
  });
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/stacks">{t("stacks.title")}</Link> / {stack.yard} /</span> {stack.name}</h1>
        <StateMark state={stackState(stack)} {...(stack.removing ? { text: t("state.removing") } : {})} />
        <span className="quiet">{t("stacks.deployed")} <RelativeTime at={stack.deployed} /></span>
        <div className="end">
          <Button.Group>
            <Button variant={view === "services" ? "light" : "default"} aria-pressed={view === "services"} onClick={() => show(undefined)}>{t("stack.services")}</Button>
            <Button variant={view === "logs" ? "light" : "default"} aria-pressed={view === "logs"} onClick={() => show("")}>{t("stack.logs")}</Button>
            <Button variant={view === "events" ? "light" : "default"} aria-pressed={view === "events"} onClick={() => showEvents("")}>{t("events.title")}</Button>
          </Button.Group>
          {canEdit && !stack.removing && <Button variant="default" leftSection={<IconArrowUp size={15} />} onClick={() => setUpdating(true)}>{t("update.button")}</Button>}
          {canEdit && (
            <Tooltip label={t("stack.rollbackNone")} disabled={back}>
              <Button
                variant="default"
                leftSection={<IconArrowBackUp size={15} />}
                aria-disabled={!back || undefined}
                data-disabled={!back || undefined}
                onClick={() => back && setQuestion(rollback())}
              >
                {t("stack.rollback")}
              </Button>
            </Tooltip>
          )}
        </div>
      </div>
      {stack.status.reasons.length + stack.status.notes.length > 0 && (
        <ul className="panel attention" aria-label={t("overview.attention")}>
          {stack.status.reasons.map((reason) => <li key={reason}><StateMark state={stackState(stack)} /><p>{reason}</p></li>)}
          {stack.status.notes.map((note) => <li key={note}><span /><p className="quiet">{note}</p></li>)}
        </ul>
      )}
      {view === "services" && <ServiceTable stack={stack} canEdit={canEdit} open={setTerminal} show={show} />}
      {view === "logs" && <StackLogs stack={stack} only={logs ?? ""} choose={show} />}
      {view === "events"
        ? <StackEvents stack={stack} only={events ?? ""} choose={showEvents} />
        : <CommandLine text={view === "services" ? stackCommand(stack, "show") : stackCommand(stack, "logs", "-f", ...(logs ? [logs] : []))} />}
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
      <NamedDialog opened={updating} onClose={() => setUpdating(false)} title={t("update.title", { name: stack.name })} size="lg">
        {updating && <Suspense><StackUpdate stack={stack} close={() => setUpdating(false)} /></Suspense>}
      </NamedDialog>
      <NamedDialog
        opened={terminal !== null}
        onClose={() => setTerminal(null)}
        title={t("stack.terminalIn", { name: terminal ?? "" })}
        size={960}
        closeOnEscape={false}
        closeOnClickOutside={false}
      >
        {terminal !== null && <Suspense><Terminal stack={stack} replica={terminal} /></Suspense>}
      </NamedDialog>
    </div>
  );
}

interface ServiceTableProps {
  stack: Stack;
  canEdit: boolean;
  open: (replica: string) => void;
  show: (logs: string) => void;
}

function ServiceTable({ stack, canEdit, open, show }: ServiceTableProps) {
  const { t } = useTexts();
  return (
    <section className="panel">
      <table className="rows cards">
        <thead>
          <tr>
            <th scope="col">{t("stack.service")}</th>
            <th scope="col">{t("stack.state")}</th>
            <th scope="col">{t("stack.image")}</th>
            <th scope="col">{t("stack.replicas")}</th>
          </tr>
        </thead>
        <tbody>
          {stack.status.services.map((service) => (
            <Fragment key={service.name}>
              <tr>
                <td className="full strong">{service.name}</td>
                <td data-label={t("stack.state")}>
                  <StateMark state={service.health} />
                  {service.reason && <div className="why">{service.reason}</div>}
                </td>
                <td data-label={t("stack.image")} className="mono">{service.image}</td>
                <td data-label={t("stack.replicas")}><ScaleControl stack={stack} service={service} canScale={canEdit && !stack.removing} /></td>
              </tr>
              <tr className="sub">
                <td colSpan={4}>
                  {service.replicas.length === 0 ? <p className="quiet">{t("stack.noContainers")}</p>
                    : <ReplicaTable stack={stack} service={service} canEdit={canEdit} open={open} show={show} />}
                </td>
              </tr>
            </Fragment>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ScaleControl({ stack, service, canScale }: { stack: Stack; service: Service; canScale: boolean }) {
  const { t } = useTexts();
  const scale = useMutation({
    mutationFn: (count: number) =>
      unwrap(
        api.POST("/api/v1/yards/{yard}/stacks/{stack}/scale", {
          params: { path: { yard: stack.yard, stack: stack.name } },
          body: { services: { [service.name]: count } },
        }),
      ),
  });
  const fixed = !canScale || service.mode !== "replicated";
  const count = <output aria-label={t("stack.scaleOf", { name: service.name })}>{service.ready} / {service.desired}</output>;
  const kind = isJob(service) ? t("stack.job") : service.mode === "global" ? t("stack.global") : null;
  return (
    <>
      <span className="scale">
        {!fixed && <ActionIcon variant="default" size="sm" disabled={service.desired === 0 || scale.isPending} onClick={() => scale.mutate(service.desired - 1)} aria-label={`${service.name}: ${t("stack.less")}`}><IconMinus size={13} /></ActionIcon>}
        {count}
        {!fixed && <ActionIcon variant="default" size="sm" disabled={scale.isPending} onClick={() => scale.mutate(service.desired + 1)} aria-label={`${service.name}: ${t("stack.more")}`}><IconPlus size={13} /></ActionIcon>}
        {kind && <span className="quiet">{kind}</span>}
      </span>
      {scale.error && <Problem error={scale.error} />}
    </>
  );
}

function ReplicaTable({ service, canEdit, open, show }: ServiceTableProps & { service: Service }) {
  const { t } = useTexts();
  return (
    <table className="rows inner" aria-label={t("stack.replicas") + " " + service.name}>
      <thead>
        <tr>
          <th scope="col" className="a1">{t("stack.container")}</th>
          <th scope="col" className="a2">{t("stack.host")}</th>
          <th scope="col">{t("stack.state")}</th>
          <th scope="col" className="num wide a4">{t("stack.restarts")}</th>
          <th scope="col" className="a5"><span className="hidden">{t("stack.tools")}</span></th>
        </tr>
      </thead>
      <tbody>
        {service.replicas.map((replica) => (
          <tr key={replicaKey(replica)}>
            <td>{replica.name} <span className="quiet mono wide">{replica.container?.slice(0, 12)}</span></td>
            <td><Link to="/hosts/$id" params={{ id: replica.host }}>{replica.host_name}</Link></td>
            <td><ContainerState replica={replica} service={service} /></td>
            <td className="num wide">{replica.restarts}</td>
            <td><ReplicaActions replica={replica} canEdit={canEdit} open={open} show={show} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function ReplicaActions({ replica, canEdit, open, show }: Pick<ServiceTableProps, "canEdit" | "open" | "show"> & { replica: Replica }) {
  const { t } = useTexts();
  const name = replicaKey(replica);
  return (
    <div className="tools">
      <Tooltip label={t("stack.logs")}>
        <ActionIcon variant="subtle" color="gray" onClick={() => show(name)} aria-label={t("stack.showLogs", { name })}><IconFileText size={16} /></ActionIcon>
      </Tooltip>
      {canEdit && replica.state === "running" && (
        <Tooltip label={t("stack.terminal")}>
          <ActionIcon variant="subtle" color="gray" onClick={() => open(name)} aria-label={t("stack.terminalIn", { name })}><IconTerminal2 size={16} /></ActionIcon>
        </Tooltip>
      )}
    </div>
  );
}
