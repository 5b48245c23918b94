import { Button } from "@mantine/core";
import { useEffect, useRef } from "react";
import type { Plan } from "../api/client";
import { useTexts } from "../i18n";
import { AllowDataLoss, useDataLossConsent } from "./allow-data-loss";
import { PlanView } from "./plan-view";
import { Problem } from "./problem";

interface PlanReviewProps {
  plan: Plan;
  /** Applies the plan. The argument is true if the user agreed to the plan's data loss. */
  apply: (allowDataLoss: boolean) => void;
  busy: boolean;
  error: unknown;
  yard: string;
  again: () => void;
}

/** A plan with the button that applies it. */
export function PlanReview({ plan, apply, busy, error, yard, again }: PlanReviewProps) {
  const { t } = useTexts();
  const grave = plan.summary.remove + plan.summary.replace > 0;
  const loss = useDataLossConsent(plan);
  const at = useRef<HTMLElement>(null);
  useEffect(() => {
    // The braces drop the result: newer browsers return a promise, which is no clean-up function.
    at.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <section className="panel" ref={at}>
      <div className="title"><h2>{t("plan.title")}</h2><span className="end quiet">{t("plan.on", { yard, cloud: plan.cloud })}</span></div>
      <div className="pad form">
        <PlanView plan={plan} />
        {error != null && <Problem error={error} />}
        {plan.blockers.length === 0 && <AllowDataLoss plan={plan} loss={loss} />}
        {plan.blockers.length === 0 && (
          <div className="buttons">
            {error != null && <Button variant="default" onClick={again}>{t("edit.planAgain")}</Button>}
            <Button color={grave ? "red.8" : undefined} disabled={!loss.ready} loading={busy} onClick={() => apply(loss.loses)}>{plan.noop ? t("edit.keep") : grave ? t("edit.applyGrave") : t("edit.apply")}</Button>
          </div>
        )}
      </div>
    </section>
  );
}
