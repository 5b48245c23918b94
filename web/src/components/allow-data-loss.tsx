import { Checkbox } from "@mantine/core";
import { useState } from "react";
import type { Plan } from "../api/client";
import { useTexts } from "../i18n";
import { kindText } from "./plan-view";

/** Resources whose data a plan takes away, each once, as people write them. */
export function lostResources(plan: Plan): string[] {
  const taken = plan.plan.steps.filter((step) => step.loses_data && (step.action === "remove" || step.action === "discard"));
  return taken.map((step) => `${kindText(step.key.kind)} ${step.key.name}`);
}

export interface DataLossConsent {
  /** The plan loses data. */
  loses: boolean;
  /** The run may begin: no data is lost, or the user agreed to what this very plan loses. */
  ready: boolean;
  agree: (yes: boolean) => void;
}

/** Whether the user agreed to what a plan loses; another plan asks again. */
export function useDataLossConsent(plan: Plan | undefined): DataLossConsent {
  const [agreed, setAgreed] = useState<string>();
  const loses = plan !== undefined && lostResources(plan).length > 0;
  return { loses, ready: !loses || agreed === plan.digest, agree: (yes) => setAgreed(yes ? plan?.digest : undefined) };
}

/** Asks whether the data that a plan names may be lost; nothing where none is. */
export function AllowDataLoss({ plan, loss }: { plan: Plan; loss: DataLossConsent }) {
  const { t } = useTexts();
  if (!loss.loses) return null;
  return <Checkbox label={t("plan.allowLoss", { names: lostResources(plan).join(", ") })} checked={loss.ready} onChange={(e) => loss.agree(e.currentTarget.checked)} />;
}
