/** A yard's plan: resources to create, change field by field, replace and remove. */
import type { Plan, PlanChange, PlanStep } from "../api/client";
import { useTexts, type TextKey } from "../i18n";
import { StateMark } from "./state-mark";

type PlanAction = PlanStep["action"];

const SIGNS: Partial<Record<PlanAction, { sign: string; word: TextKey; kind: string }>> = {
  create: { sign: "+", word: "plan.create", kind: "create" },
  change: { sign: "~", word: "plan.change", kind: "change" },
  recreate: { sign: "±", word: "plan.replace", kind: "replace" },
  await: { sign: "…", word: "plan.await", kind: "await" },
  remove: { sign: "−", word: "plan.remove", kind: "remove" },
};

const valueText = (value: string | string[]) => (Array.isArray(value) ? value.join(", ") : value);

/** Text for a resource kind: `security_group` becomes `security group`. */
export function kindText(kind: string): string {
  return kind === "floating_ip" ? "floating IP" : kind.replaceAll("_", " ");
}

export function PlanView({ plan }: { plan: Plan }) {
  const { t } = useTexts();
  const steps = plan.plan.steps.filter((step) => SIGNS[step.action]);
  const stacks = (plan.plan.stacks ?? []).filter((stack) => SIGNS[stack.action]);
  const sums = (["create", "change", "replace", "remove", "wait", "keep"] as const).filter((name) => plan.summary[name] > 0);
  return (
    <div className="plan">
      <p className="sums" role="status">
        {plan.noop && plan.blockers.length === 0
          ? <StateMark state="ready" text={t("plan.noop")} />
          : sums.map((name) => <span key={name} className={`sum ${name}`}>{t(`plan.sum.${name}`, { n: plan.summary[name] })}</span>)}
        {plan.summary.lose_data > 0 && <span className="sum remove">{t("plan.sum.lost", { n: plan.summary.lose_data })}</span>}
      </p>
      {plan.blockers.length > 0 && (
        <div className="problem" role="alert">
          <strong>{t("plan.blocked")}</strong>
          <ul>{plan.blockers.map((why) => <li key={why}>{why}</li>)}</ul>
        </div>
      )}
      {plan.warnings.length > 0 && <ul className="warnings" aria-label={t("plan.warnings")}>{plan.warnings.map((why) => <li key={why}>{why}</li>)}</ul>}
      {steps.length + stacks.length > 0 && (
        <ul className="steps" aria-label={t("plan.title")}>
          {steps.map((step) => (
            <PlanRow key={`${step.action} ${step.key.kind} ${step.key.name} ${step.id ?? ""}`} action={step.action} kind={kindText(step.key.kind)} name={step.key.name} reasons={step.reasons ?? []} lost={step.loses_data === true}>
              {(step.changes ?? []).map((change) => <FieldChange key={change.field} change={change} />)}
            </PlanRow>
          ))}
          {stacks.map((stack) => (
            <PlanRow key={`stack ${stack.name}`} action={stack.action} kind={t("plan.stack")} name={stack.name} reasons={stack.reasons ?? []}>
              {(stack.services ?? []).map((service) => (
                <div key={service.name} className="field">
                  <span className={`sign ${SIGNS[service.action]?.kind ?? ""}`} aria-hidden="true">{SIGNS[service.action]?.sign}</span>
                  {t("plan.service")} {service.name}{(service.parts ?? []).length > 0 && <span className="quiet">: {service.parts?.join(", ")}</span>}
                </div>
              ))}
              {(stack.notes ?? []).map((note) => <div key={note} className="field quiet">{note}</div>)}
            </PlanRow>
          ))}
        </ul>
      )}
    </div>
  );
}

interface PlanRowProps {
  action: PlanAction;
  kind: string;
  name: string;
  reasons: string[];
  /** The step deletes the resource's data. */
  lost?: boolean;
  children: React.ReactNode;
}

function PlanRow({ action, kind, name, reasons, lost, children }: PlanRowProps) {
  const { t } = useTexts();
  const sign = SIGNS[action];
  if (!sign) return null;
  return (
    <li className={sign.kind}>
      <span className={`sign ${sign.kind}`} aria-hidden="true">{sign.sign}</span>
      <div>
        <span className="verb">{t(sign.word)}</span> <span className="quiet">{kind}</span> <b>{name}</b>
        {reasons.length > 0 && <span className="quiet">: {reasons.join("; ")}</span>}
        {lost && <>{" "}<StateMark state="failed" text={t("plan.lost")} /></>}
        {children}
      </div>
    </li>
  );
}

function FieldChange({ change }: { change: PlanChange }) {
  const { t } = useTexts();
  const none = (value: string) => value || t("none");
  return (
    <div className="field">
      <span className="quiet">{change.field}</span> <del>{none(valueText(change.from))}</del> <span aria-hidden="true">→</span> <ins>{none(valueText(change.to))}</ins>
      {change.replace && <span className="quiet"> ({t("plan.takesReplacement")})</span>}
    </div>
  );
}
