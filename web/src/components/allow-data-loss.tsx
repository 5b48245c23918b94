import { Checkbox } from "@mantine/core";
import { useState } from "react";
import type { Plan } from "../api/client";
import { useTexts } from "../i18n";
import { kindText } from "./plan-view";

/** Resources whose data a plan deletes, each once, such as `volume db`. */
export function lostResources(plan: Plan): string[] {
  const taken = plan.plan.steps.filter((step) => step.loses_data && (step.action === "remove" || step.action === "discard"));
  return taken.map((step) => `${kindText(step.key.kind)} ${step.key.name}`);
}

export interface DataLossConsent {
  /** The plan deletes data. */
  loses: boolean;
  /** The run may start: the plan deletes no data, or the user agreed to this plan. */
  ready: boolean;
  agree: (yes: boolean) => void;
}

/** Tracks whether the user agreed to a plan's data loss. A new plan asks again. */
export function useDataLossConsent(plan: Plan | undefined): DataLossConsent {
  const [agreed, setAgreed] = useState<string>();
  const loses = plan !== undefined && lostResources(plan).length > 0;
  return { loses, ready: !loses || agreed === plan.digest, agree: (yes) => setAgreed(yes ? plan?.digest : undefined) };
}

/** Checkbox to agree to a plan's data loss. Renders nothing if the plan deletes no data. */
export function AllowDataLoss({ plan, loss }: { plan: Plan; loss: DataLossConsent }) {
  const { t } = useTexts();
  if (!loss.loses) return null;
  return <Checkbox label={t("plan.allowLoss", { names: lostResources(plan).join(", ") })} checked={loss.ready} onChange={(e) => loss.agree(e.currentTarget.checked)} />;
}
