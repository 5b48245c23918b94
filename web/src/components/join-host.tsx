import { Autocomplete, Button, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap, type Schemas } from "../api/client";
import { groupByYard } from "../api/health";
import { hosts, stacks, yards } from "../api/queries";
import { formatDuration, shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CopyableText, CommandLine } from "./command-line";
import { NamedDialog } from "./dialog";
import { Problem } from "./problem";
import { StateMark } from "./state-mark";
import { useNow } from "./time";

/** Dialog that creates the command with which a machine joins. */
export function JoinHost({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTexts();
  return (
    <NamedDialog opened={opened} onClose={close} title={t("hosts.join")} size="lg">
      <JoinForm close={close} />
    </NamedDialog>
  );
}

function JoinForm({ close }: { close: () => void }) {
  const { t } = useTexts();
  const [hostQuery, stackQuery, yardQuery] = [useQuery(hosts), useQuery(stacks), useQuery(yards)];
  const yardNames = groupByYard((yardQuery.data ?? []).map((one) => one.name), hostQuery.data ?? [], stackQuery.data ?? []).map((one) => one.name);
  const pools = [...new Set((hostQuery.data ?? []).map((host) => host.pool).filter((pool) => pool !== ""))];
  const [chosen, setYard] = useState<string | null>(null);
  // Preselect the only yard once all lists are loaded, so that the field does not change later by itself.
  const allLoaded = hostQuery.isSuccess && stackQuery.isSuccess && yardQuery.isSuccess;
  const yard = chosen ?? (allLoaded && yardNames.length === 1 ? (yardNames[0] ?? "") : "");
  const [pool, setPool] = useState("");
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: async () => {
      const before = (hostQuery.data ?? []).map((host) => host.id);
      const body: Schemas["NewJoin"] = { yard, ...(pool ? { pool } : {}), ...(name ? { name } : {}) };
      return { ticket: await unwrap(api.POST("/api/v1/joins", { body })), before };
    },
  });
  if (make.data) {
    const joined = (hostQuery.data ?? []).filter((host) => host.yard === yard && !make.data.before.includes(host.id));
    return <JoinCommand ticket={make.data.ticket} joined={joined.map((host) => host.name)} again={() => make.reset()} close={close} />;
  }
  const options = [`--yard ${shellQuote(yard || "YARD")}`, pool && `--pool ${shellQuote(pool)}`, name && `--name ${shellQuote(name)}`];
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Autocomplete label={t("join.yard")} data={yardNames} value={yard} onChange={setYard} required withAsterisk={false} data-autofocus />
      <div className="two">
        <Autocomplete label={t("join.pool")} data={pools} value={pool} onChange={setPool} />
        <TextInput label={t("join.name")} placeholder={t("join.nameHint")} value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="off" />
      </div>
      {make.error && <Problem error={make.error} />}
      <CommandLine text={`stackyard host join ${options.filter(Boolean).join(" ")}`} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button type="submit" loading={make.isPending} disabled={yard === ""}>{t("join.create")}</Button>
      </div>
    </form>
  );
}

/** The join command, the time until it expires, and the host that joined with it. */
export function JoinCommand({ ticket, joined, again, close }: { ticket: Schemas["JoinTicket"]; joined: string[]; again: () => void; close: () => void }) {
  const { t } = useTexts();
  const timeLeft = Date.parse(ticket.expires) - useNow(1000);
  const joinedName = joined[0];
  return (
    <div className="form">
      <p>{t("join.run")}</p>
      <CopyableText text={ticket.command} wrap />
      <div role="status">
        {joinedName !== undefined ? <StateMark state="ready" text={t("join.joined", { name: joinedName })} />
          : timeLeft > 0 ? <StateMark state="waiting" text={t("join.left", { time: formatDuration(timeLeft) })} />
          : <StateMark state="failed" text={t("join.expired")} />}
      </div>
      <div className="buttons">
        <Button variant="default" onClick={again}>{t("join.again")}</Button>
        <Button onClick={close}>{t("close")}</Button>
      </div>
    </div>
  );
}
