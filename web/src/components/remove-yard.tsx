import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { AllowDataLoss, useDataLossConsent } from "./allow-data-loss";
import { CommandLine } from "./command-line";
import { NamedDialog } from "./dialog";
import { PlanView } from "./plan-view";
import { QueryResult, Problem } from "./problem";

/** Dialog that removes a yard after the user reviewed the plan and typed the name. */
export function RemoveYard({ yard, opened, close }: { yard: string; opened: boolean; close: () => void }) {
  const { t } = useTexts();
  return (
    <NamedDialog opened={opened} onClose={close} title={t("yard.removeTitle", { name: yard })} size="lg">
      <RemoveForm yard={yard} close={close} />
    </NamedDialog>
  );
}

function RemoveForm({ yard, close }: { yard: string; close: () => void }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const params = { path: { yard } };
  const plan = useQuery({
    queryKey: ["removal", yard],
    gcTime: 0,
    queryFn: () => unwrap(api.POST("/api/v1/yards/{yard}/plan", { params, body: { remove: true } })),
  });
  const loss = useDataLossConsent(plan.data);
  const run = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/yards/{yard}/runs", { params, body: { remove: true, plan: plan.data?.digest, allow_data_loss: loss.loses } })),
    onSuccess: (begun) => navigate({ to: "/yards/$yard/runs/$run", params: { yard, run: begun.id } }),
  });
  const ready = plan.data && plan.data.blockers.length === 0 && typed === yard && loss.ready;
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) run.mutate();
      }}
    >
      <p>{t("yard.removeText")}</p>
      <QueryResult query={plan}>{(found) => (
        // The region scrolls, so the keyboard must reach it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className="scrolls" role="region" aria-label={t("plan.title")} tabIndex={0}><PlanView plan={found} /></div>
      )}</QueryResult>
      {plan.data && <AllowDataLoss plan={plan.data} loss={loss} />}
      <TextInput label={t("yard.removeConfirm")} placeholder={yard} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} autoComplete="off" data-autofocus />
      {run.error && <Problem error={run.error} />}
      <CommandLine text={`stackyard down -f ${shellQuote(`${yard}.yaml`)}`} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button type="submit" color="red.8" disabled={!ready} loading={run.isPending}>{t("yard.remove")}</Button>
      </div>
    </form>
  );
}
