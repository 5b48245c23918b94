import { Autocomplete, Button, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, get, type Schemas } from "../api/client";
import { groupByYard } from "../api/health";
import { hosts, stacks, yards } from "../api/queries";
import { countdown, shell } from "../format";
import { useTexts } from "../i18n";
import { Command, CommandLine } from "./command-line";
import { Dialog } from "./dialog";
import { Problem } from "./problem";
import { StateMark } from "./state-mark";
import { useNow } from "./time";

/** The dialog that makes the line with which a machine joins. */
export function Join({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTexts();
  return (
    <Dialog opened={opened} onClose={close} title={t("hosts.join")} size="lg">
      <Form close={close} />
    </Dialog>
  );
}

function Form({ close }: { close: () => void }) {
  const { t } = useTexts();
  const [h, s, y] = [useQuery(hosts), useQuery(stacks), useQuery(yards)];
  const known = groupByYard((y.data ?? []).map((one) => one.name), h.data ?? [], s.data ?? []).map((one) => one.name);
  const pools = [...new Set((h.data ?? []).map((host) => host.pool).filter((pool) => pool !== ""))];
  const [chosen, setYard] = useState<string | null>(null);
  // The only one, once it is known that it is: what stands in the field does not change by itself after that.
  const all = h.isSuccess && s.isSuccess && y.isSuccess;
  const yard = chosen ?? (all && known.length === 1 ? (known[0] ?? "") : "");
  const [pool, setPool] = useState("");
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: async () => {
      const before = (h.data ?? []).map((host) => host.id);
      const body: Schemas["NewJoin"] = { yard, ...(pool ? { pool } : {}), ...(name ? { name } : {}) };
      return { ticket: await get(api.POST("/api/v1/joins", { body })), before };
    },
  });
  if (make.data) {
    const joined = (h.data ?? []).filter((host) => host.yard === yard && !make.data.before.includes(host.id));
    return <Ticket ticket={make.data.ticket} joined={joined.map((host) => host.name)} again={() => make.reset()} close={close} />;
  }
  const options = [`--yard ${shell(yard || "YARD")}`, pool && `--pool ${shell(pool)}`, name && `--name ${shell(name)}`];
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Autocomplete label={t("join.yard")} data={known} value={yard} onChange={setYard} required withAsterisk={false} data-autofocus />
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

/** The line, how long it is good, and who came by it. */
export function Ticket({ ticket, joined, again, close }: { ticket: Schemas["JoinTicket"]; joined: string[]; again: () => void; close: () => void }) {
  const { t } = useTexts();
  const left = Date.parse(ticket.expires) - useNow(1000);
  const came = joined[0];
  return (
    <div className="form">
      <p>{t("join.run")}</p>
      <Command text={ticket.command} wrap />
      <div role="status">
        {came !== undefined ? <StateMark state="ok" text={t("join.joined", { name: came })} />
          : left > 0 ? <StateMark state="waiting" text={t("join.left", { time: countdown(left) })} />
          : <StateMark state="failed" text={t("join.expired")} />}
      </div>
      <div className="buttons">
        <Button variant="default" onClick={again}>{t("join.again")}</Button>
        <Button onClick={close}>{t("close")}</Button>
      </div>
    </div>
  );
}
