/** The form of a new yard. It offers the resources of the selected cloud and produces a manifest for review. */
import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, unwrap, type Schemas } from "../api/client";
import { cloudOffer } from "../api/queries";
import { formatBytes } from "../format";
import { useTexts, type TextKey } from "../i18n";
import { CommandLine } from "./command-line";
import { completeDraft, fittingFlavors, flavorText, initCommand, type YardDraft, type DraftInput, type CloudOffer, type OfferedItem } from "./yard-draft";
import { QueryResult, Problem } from "./problem";

interface YardFormProps {
  clouds: string[];
  /** Names of existing yards. */
  taken: string[];
  cloud: string;
  setCloud: (cloud: string) => void;
  entered: DraftInput;
  enter: (entered: DraftInput) => void;
  /** Receives the manifest that the server wrote. */
  written: (text: string) => void;
}

export function YardForm(props: YardFormProps) {
  const { t } = useTexts();
  const { cloud, clouds, setCloud } = props;
  const offered = useQuery(cloudOffer(cloud));
  return (
    <>
      <section className="panel pad draft">
        <NativeSelect label={t("yard.cloud")} value={cloud} data={clouds} onChange={(e) => setCloud(e.currentTarget.value)} />
      </section>
      <QueryResult key={cloud} query={offered}>{(found) => <DraftForm {...props} offer={found} />}</QueryResult>
    </>
  );
}

const JOIN_METHODS: [YardDraft["join"], TextKey][] = [["docker", "draft.join.docker"], ["ssh", "draft.join.ssh"], ["command", "draft.join.command"]];

/** Keys of a draft that have their own field in the form. */
type DraftField = Exclude<keyof YardDraft, "hosts">;

export function DraftForm({ cloud, taken, entered, enter, written, offer }: YardFormProps & { offer: CloudOffer }) {
  const { t } = useTexts();
  const form = useRef<HTMLFormElement>(null);
  const draft = completeDraft(entered, offer);
  const [lastCheck, setLastCheck] = useState<{ of: YardDraft; faults: Schemas["DraftError"][] }>({ of: draft, faults: [] });
  const write = useMutation({
    mutationFn: (body: YardDraft) => unwrap(api.POST("/api/v1/clouds/{cloud}/draft", { params: { path: { cloud } }, body })),
    onSuccess: ({ manifest, faults }, of) => {
      setLastCheck({ of, faults });
      if (manifest != null) written(manifest);
    },
  });
  useEffect(() => {
    if (lastCheck.faults.length > 0) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [lastCheck]);
  const set = (change: DraftInput) => enter({ ...entered, ...change });
  const isTaken = taken.includes(draft.name);
  // Show an error until the user changes its field.
  const fault = (field: DraftField) => {
    if (field === "name" && isTaken) return t("draft.taken");
    const found = lastCheck.of[field] === draft[field] ? lastCheck.faults.find((one) => one.field === field) : undefined;
    return found && (found.hint == null ? found.message : `${found.message}; ${found.hint}`);
  };
  const shownFields: string[] = ["name", "machine", "count", "image", "flavor", "network", "key", "data_volume", "floating_ip"];
  if (draft.network === null) shownFields.push("cidr");
  if (draft.network === null || draft.floating_ip) shownFields.push("external");
  if (draft.join === "command") shownFields.push("command");
  const otherFaults = lastCheck.faults.filter((one) => !shownFields.includes(one.field));
  const names = (from: OfferedItem[], words: (one: OfferedItem) => string) => from.map((one) => ({ value: one.name, label: words(one) }));
  const flavor = (one: OfferedItem) => flavorText(one, t("hosts.cpus", { n: one.vcpus }), t("draft.noDisk"));
  const image = (one: OfferedItem) => (one.size == null ? one.name : `${one.name} · ${formatBytes(one.size)}`);
  const network = (one: OfferedItem) => [one.name, ...(one.mtu == null ? [] : [`MTU ${one.mtu}`]), ...(one.shared ? [t("draft.shared")] : [])].join(" · ");
  const name = (one: OfferedItem) => one.name;
  const none = (from: OfferedItem[]) => (from.length === 0 ? { description: t("draft.hasNone") } : {});
  const text = (field: "name" | "machine" | "cidr" | "data_volume" | "command") => ({
    value: entered[field] ?? draft[field] ?? "",
    onChange: (e: React.ChangeEvent<HTMLInputElement>) => set({ [field]: e.currentTarget.value }),
    error: fault(field),
    autoComplete: "off",
    spellCheck: false,
  });
  const pick = (field: "image" | "flavor" | "network" | "external" | "key") => ({
    value: draft[field] ?? "",
    onChange: (e: React.ChangeEvent<HTMLSelectElement>) => set({ [field]: e.currentTarget.value === "" ? null : e.currentTarget.value }),
    error: fault(field),
  });
  return (
    <form
      ref={form}
      noValidate
      className="panel draft"
      aria-label={t("draft.title")}
      onSubmit={(event) => {
        event.preventDefault();
        if (isTaken) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
        else write.mutate(draft);
      }}
    >
      <fieldset>
        <legend>{t("draft.machines")}</legend>
        <div className="fields">
          <TextInput label={t("draft.name")} description={t("draft.nameHint")} {...text("name")} />
          <NativeSelect label={t("draft.kind")} value={draft.hosts ? "hosts" : "servers"} onChange={(e) => set({ hosts: e.currentTarget.value === "hosts" })} data={[{ value: "hosts", label: t("draft.hosts") }, { value: "servers", label: t("draft.servers") }]} />
          <TextInput label={draft.hosts ? t("draft.pool") : t("draft.server")} {...text("machine")} />
          <TextInput label={t("draft.count")} type="number" min={1} max={1000} inputMode="numeric" value={entered.count === 0 ? "" : draft.count} onChange={(e) => set({ count: Math.min(Math.max(Math.trunc(Number(e.currentTarget.value)) || 0, 0), 2 ** 31) })} error={fault("count")} />
          <NativeSelect label={t("draft.image")} data={names(offer.images, image)} {...pick("image")} {...none(offer.images)} />
          <NativeSelect label={t("draft.flavor")} data={names(fittingFlavors(offer, draft.image), flavor)} {...pick("flavor")} {...none(offer.flavors)} />
          {draft.hosts && <NativeSelect label={t("draft.join")} value={draft.join} onChange={(e) => set({ join: JOIN_METHODS.find(([way]) => way === e.currentTarget.value)?.[0] ?? "docker" })} data={JOIN_METHODS.map(([value, key]) => ({ value, label: t(key) }))} />}
          {draft.join === "command" && <TextInput label={t("draft.command")} description={t("draft.commandHint")} {...text("command")} />}
          <NativeSelect label={t("draft.key")} data={[{ value: "", label: draft.join === "ssh" ? t("draft.ownKey") : t("draft.noKey") }, ...names(draft.join === "ssh" ? [] : offer.keypairs, name)]} {...pick("key")} />
          <TextInput label={t("draft.volume")} description={draft.hosts ? t("draft.volumeHosts") : t("draft.volumeServers")} placeholder="10Gi" {...text("data_volume")} />
        </div>
      </fieldset>
      <fieldset>
        <legend>{t("draft.network")}</legend>
        <div className="fields">
          <NativeSelect label={t("draft.network")} data={[{ value: "", label: t("draft.newNetwork") }, ...names(offer.networks, network)]} {...pick("network")} />
          {draft.network === null && <TextInput label={t("draft.cidr")} {...text("cidr")} />}
          {(draft.network === null || draft.floating_ip) && <NativeSelect label={t("draft.external")} data={[{ value: "", label: draft.network === null ? t("draft.noExternal") : t("draft.anyExternal") }, ...names(offer.externals, name)]} {...pick("external")} />}
          <Checkbox label={t("draft.floating")} description={t("draft.floatingHint")} checked={draft.floating_ip} onChange={(e) => set({ floating_ip: e.currentTarget.checked })} error={fault("floating_ip")} />
        </div>
      </fieldset>
      <div className="pad form">
        {otherFaults.length > 0 && <div role="alert"><ul className="why">{otherFaults.map((one) => <li key={one.message}>{one.message}</li>)}</ul></div>}
        {write.error && <Problem error={write.error} />}
        <p className="quiet">{t("draft.after")}</p>
        <div className="buttons"><Button type="submit" loading={write.isPending}>{t("draft.write")}</Button></div>
        <CommandLine text={initCommand(cloud, draft)} />
      </div>
    </form>
  );
}
