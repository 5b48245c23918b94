import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { cloudRunPath, type LocalDetail, type LocalRun, type PlanPreview } from "../api/local-cloud";
import { useHasRole } from "../api/queries";
import { runState, useRunFeed } from "../api/runs";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { Problem } from "../components/problem";
import { ElapsedTime, RunView } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { PreflightTable, cloudRunKind } from "./cloud";
import { upCommand } from "./cloud-change";
import { NotFound } from "./not-found";

export default function CloudRunPage() {
  const { t } = useTexts();
  const { run } = useParams({ from: "/cloud/runs/$run" });
  if (!useHasRole("admin")) return <NotFound text={t("cloud.admins")} />;
  return <CloudRunDetails key={run} id={run} />;
}

function CloudRunDetails({ id }: { id: string }) {
  const { t } = useTexts();
  const feed = useRunFeed<LocalRun, LocalDetail>(cloudRunPath(id));
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const { run, detail } = feed;
  if (feed.missing) return <NotFound text={t("run.gone")} />;
  const preview = detail?.outlook ?? null;
  const cancel = (): ConfirmRequest => ({
    title: t("run.cancelTitle"),
    text: t("run.cancelText"),
    button: t("run.cancel"),
    command: "stackyard cloud up",
    run: () => unwrap(api.POST("/api/v1/local/runs/{run}/cancel", { params: { path: { run: id } } })),
  });
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/cloud">{t("cloud.title")}</Link> /</span> {run ? t(`cloud.kind.${cloudRunKind(run)}`) : t("loading")}</h1>
        {run && <StateMark state={runState(run)} text={t(`run.state.${run.state}`)} />}
        {run && <span className="quiet">{run.actor}, <RelativeTime at={run.began} /></span>}
        {run?.state === "running" && <ElapsedTime run={run} />}
        <div className="end">
          {run?.state === "running" && <Button variant="default" onClick={() => setQuestion(cancel())}>{t("run.cancel")}</Button>}
          {run && run.state !== "running" && run.kind !== "down" && <Button variant="default" renderRoot={(props) => <Link to="/cloud/change" {...props} />}>{t("edit.planAgain")}</Button>}
        </div>
      </div>
      {!feed.live && run?.state === "running" && <p className="quiet" role="status">{t("live.lost")}</p>}
      {run?.kind === "plan" && run.state === "done" && preview?.plan && <PlanApproval preview={preview} />}
      {preview && preview.problems.length > 0 && (run?.kind === "plan" || preview.blocked) && (
        <section className="panel">
          <h2>{t("cloud.problems")}</h2>
          <PreflightTable checks={preview.problems} />
        </section>
      )}
      <RunView feed={feed} />
      <CommandLine text={run?.kind === "down" ? "stackyard cloud down" : upCommand(preview?.set ?? {}, preview?.unset ?? [], preview?.force ?? false)} />
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
    </div>
  );
}

const ACTION_SIGNS: Record<string, { sign: string; kind: string; word: "create" | "replace" | "remove" | "start" }> = {
  create: { sign: "+", kind: "create", word: "create" },
  recreate: { sign: "±", kind: "replace", word: "replace" },
  start: { sign: "^", kind: "change", word: "start" },
  restart: { sign: "^", kind: "change", word: "start" },
  await: { sign: "…", kind: "await", word: "start" },
  remove: { sign: "−", kind: "remove", word: "remove" },
};

/** A plan with the button that applies it. */
export function PlanApproval({ preview }: { preview: PlanPreview }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const { plan, set, unset, force } = preview;
  const up = useMutation({
    mutationFn: (digest: string) => unwrap(api.POST("/api/v1/local/runs", { body: { kind: "up", set, unset, force, plan: digest } })),
    onSuccess: (run) => navigate({ to: "/cloud/runs/$run", params: { run: run.id } }),
  });
  if (!plan) return null;
  return (
    <section className="panel">
      <div className="title">
        <h2>{t("plan.title")}</h2>
        <span className="end quiet">{plan.summary}</span>
      </div>
      <div className="pad plan">
        {plan.noop
          ? <StateMark state="ready" text={t("cloud.noop")} />
          : (
            <ul className="steps" aria-label={t("plan.title")}>
              {plan.steps.map((step) => {
                const sign = ACTION_SIGNS[step.action] ?? { sign: "~", kind: "change", word: "start" as const };
                return (
                  <li key={step.step} className={sign.kind}>
                    <span className={`sign ${sign.kind}`} aria-hidden="true">{sign.sign}</span>
                    <div>
                      <span className="verb">{t(`cloud.do.${sign.word}`)}</span> <b>{step.step}</b>
                      {step.reasons.length > 0 && <span className="quiet">: {step.reasons.join("; ")}</span>}
                    </div>
                  </li>
                );
              })}
            </ul>
          )}
        {preview.warnings.length > 0 && <ul className="warnings" aria-label={t("plan.warnings")}>{preview.warnings.map((why) => <li key={why}>{why}</li>)}</ul>}
        {plan.disturbs && <p className="why">{t("cloud.disturbs")}</p>}
        {up.error && <Problem error={up.error} />}
        <div className="buttons">
          <Button color={plan.disturbs ? "red.8" : undefined} loading={up.isPending} onClick={() => up.mutate(plan.digest)}>{t(plan.noop ? "cloud.makeReady" : "cloud.carryOut")}</Button>
        </div>
      </div>
    </section>
  );
}
