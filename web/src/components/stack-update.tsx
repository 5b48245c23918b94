/** Updates a service's image and environment: form, plan, then progress until all containers are updated. */
import { ActionIcon, Button, NativeSelect, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap, type Schemas, type Stack } from "../api/client";
import { stackDefinition } from "../api/queries";
import { useTexts } from "../i18n";
import { CommandLine } from "./command-line";
import { ContainerState, replicaKey } from "./container-state";
import { QueryResult, Problem } from "./problem";
import { StateMark } from "./state-mark";
import { invalidNames, serviceForm, isUnchanged, rolloutProgress, serviceChanges, updateCommand, type ServiceDefinition, type ServiceForm, type ServiceUpdate } from "./service-update";

/** The dialog's content. `stack` is updated live. */
export default function StackUpdate({ stack, close }: { stack: Stack; close: () => void }) {
  const definitionQuery = useQuery(stackDefinition(stack.yard, stack.name));
  const [service, setService] = useState(stack.status.services[0]?.name ?? "");
  const [followedService, setFollowedService] = useState<string | null>(null);
  if (followedService !== null) return <UpdateProgress stack={stack} service={followedService} close={close} />;
  return (
    <QueryResult query={definitionQuery}>
      {({ services, tag }) => {
        const names = Object.keys(services);
        const chosen = services[service] ? service : (names[0] ?? "");
        const definition = services[chosen];
        return definition && <UpdateForm key={chosen} stack={stack} names={names} service={chosen} setService={setService} definition={definition} tag={tag} close={close} begun={() => setFollowedService(chosen)} />;
      }}
    </QueryResult>
  );
}

interface UpdateFormProps {
  stack: Stack;
  names: string[];
  service: string;
  setService: (name: string) => void;
  definition: ServiceDefinition;
  tag: string;
  close: () => void;
  begun: () => void;
}

export function UpdateForm({ stack, names, service, setService, definition, tag, close, begun }: UpdateFormProps) {
  const { t } = useTexts();
  const [form, setForm] = useState<ServiceForm>(() => serviceForm(definition));
  const change = serviceChanges(definition, form);
  const path = { yard: stack.yard, stack: stack.name };
  const body = { services: { [service]: change } };
  const plan = useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/yards/{yard}/stacks/{stack}/update/plan", { params: { path }, body })) });
  const run = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/yards/{yard}/stacks/{stack}/update", { params: { path, header: { "If-Match": tag } }, body })),
    onSuccess: begun,
  });
  const set = (next: Partial<ServiceForm>) => {
    setForm({ ...form, ...next });
    plan.reset();
    run.reset();
  };
  const badRows = invalidNames(form.rows);
  const ready = badRows.size === 0 && !isUnchanged(change);
  const next = Math.max(-1, ...form.rows.map((row) => row.id)) + 1;
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!ready) return;
        if (plan.data) run.mutate();
        else plan.mutate();
      }}
    >
      <NativeSelect label={t("stack.service")} value={service} data={names} onChange={(e) => setService(e.currentTarget.value)} />
      <TextInput label={t("stack.image")} value={form.image} onChange={(e) => set({ image: e.currentTarget.value })} error={form.image.trim() === "" ? t("update.imageMissing") : undefined} autoComplete="off" spellCheck={false} data-autofocus />
      <fieldset className="variables">
        <legend>{t("update.environment")}</legend>
        {form.rows.length === 0 && <p className="quiet">{t("update.noVariables")}</p>}
        <ul>
          {form.rows.map((row, at) => (
            <li key={row.id}>
              <TextInput aria-label={t("update.nameOf", { n: at + 1 })} placeholder="NAME" value={row.name} onChange={(e) => set({ rows: form.rows.with(at, { ...row, name: e.currentTarget.value }) })} error={badRows.has(row.id) ? t("update.badName") : undefined} autoComplete="off" spellCheck={false} />
              <TextInput aria-label={t("update.valueOf", { name: row.name || String(at + 1) })} value={row.value} onChange={(e) => set({ rows: form.rows.with(at, { ...row, value: e.currentTarget.value }) })} autoComplete="off" spellCheck={false} />
              <ActionIcon variant="subtle" color="gray" aria-label={t("update.drop", { name: row.name || String(at + 1) })} onClick={() => set({ rows: form.rows.filter((one) => one.id !== row.id) })}><IconX size={16} /></ActionIcon>
            </li>
          ))}
        </ul>
        <Button variant="default" size="xs" leftSection={<IconPlus size={14} />} onClick={() => set({ rows: [...form.rows, { id: next, name: "", value: "" }] })}>{t("update.add")}</Button>
      </fieldset>
      {stack.declared && <p className="quiet">{t("update.declared")} <Link to="/yards/$yard/edit" params={{ yard: stack.yard }}>{t("update.edit")}</Link></p>}
      {plan.error && <Problem error={plan.error} />}
      {plan.data && <UpdatePlan service={service} definition={definition} change={change} all={plan.data} />}
      {run.error && <Problem error={run.error} />}
      <CommandLine text={`${updateCommand(stack, service, change)}${plan.data ? "" : " --plan"}`} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button type="submit" disabled={!ready || form.image.trim() === ""} loading={plan.isPending || run.isPending}>{plan.data ? t("update.run") : t("edit.plan")}</Button>
      </div>
    </form>
  );
}

/** The plan of an update: old and new values, and the services whose containers are replaced. */
export function UpdatePlan({ service, definition, change, all }: { service: string; definition: ServiceDefinition; change: ServiceUpdate; all: Schemas["StackChange"][] }) {
  const { t } = useTexts();
  const changed = all.filter((one) => one.kind !== "same");
  const others = changed.filter((one) => one.service !== service).map((one) => one.service);
  const fields: { field: string; from: string | undefined; to: string | null }[] = [
    ...(change.image == null ? [] : [{ field: t("stack.image"), from: definition.image, to: change.image }]),
    ...Object.entries(change.environment).map(([name, to]) => ({ field: name, from: definition.environment[name], to })),
  ];
  return (
    <section aria-label={t("plan.title")} role="status">
      {changed.length === 0 ? <p>{t("update.same")}</p> : <p className="strong">{t("update.replaces", { name: service })}</p>}
      <ul className="steps" aria-label={t("plan.title")}>
        {fields.map(({ field, from, to }) => (
          <li key={field} className={from === undefined ? "create" : to === null ? "remove" : "change"}>
            <span className={`sign ${from === undefined ? "create" : to === null ? "remove" : "change"}`} aria-hidden>{from === undefined ? "+" : to === null ? "−" : "~"}</span>
            <span><span className="hidden">{t(from === undefined ? "plan.create" : to === null ? "plan.remove" : "plan.change")} </span><span className="mono">{field}</span> <span className="field">{from !== undefined && <del>{from}</del>}{from !== undefined && to !== null && " → "}{to !== null && <ins>{to}</ins>}</span></span>
          </li>
        ))}
      </ul>
      {others.length > 0 && <p>{t("update.others", { names: others.join(", ") })}</p>}
    </section>
  );
}

/** Live progress of an update. */
export function UpdateProgress({ stack, service: name, close }: { stack: Stack; service: string; close: () => void }) {
  const { t } = useTexts();
  const service = stack.status.services.find((one) => one.name === name);
  const { state, done, all } = rolloutProgress(stack, service);
  const isOver = state === "ready" || state === "failed";
  return (
    <div className="form">
      <div role="status">
        <StateMark state={state} text={t(state === "ready" ? "update.done" : state === "failed" ? "update.failed" : state === "degraded" ? "update.failing" : "update.working", { name })} />
        <p className="quiet">{t("update.progress", { done, n: all })}</p>
      </div>
      <progress className="whole" max={Math.max(all, 1)} value={state === "ready" ? Math.max(all, 1) : done} aria-label={t("update.progress", { done, n: all })} />
      {(state === "degraded" || state === "failed") && stack.status.reasons.length > 0 && (
        <div role="alert"><ul className="why">{stack.status.reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul></div>
      )}
      {service && (
        <ul className="rolling" aria-label={t("hosts.containers")}>
          {service.replicas.map((replica) => (
            <li key={replicaKey(replica)}>
              <span>{replica.name} <span className="quiet">{replica.host_name}</span></span>
              <ContainerState replica={replica} service={service} />
              <span className="quiet">{t(state !== "ready" && replica.generation !== service.generation ? "update.old" : "update.new")}</span>
            </li>
          ))}
        </ul>
      )}
      {!isOver && <p className="quiet">{t("update.continues")}</p>}
      <div className="buttons"><Button onClick={close}>{t("close")}</Button></div>
    </div>
  );
}
