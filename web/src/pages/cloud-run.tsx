import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, get } from "../api/client";
import { runPath, type LocalDetail, type LocalRun, type Outlook } from "../api/local-cloud";
import { useMay } from "../api/queries";
import { runState, useFollowed } from "../api/runs";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { Confirm, type Question } from "../components/confirm-dialog";
import { Problem } from "../components/problem";
import { Elapsed, RunView } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { Ago } from "../components/time";
import { Checks, kind } from "./cloud";
import { upCommand } from "./cloud-change";
import { Missing } from "./not-found";

export default function CloudRunPage() {
  const { t } = useTexts();
  const { run } = useParams({ from: "/cloud/runs/$run" });
  if (!useMay("admin")) return <Missing text={t("cloud.admins")} />;
  return <Following key={run} id={run} />;
}

function Following({ id }: { id: string }) {
  const { t } = useTexts();
  const followed = useFollowed<LocalRun, LocalDetail>(runPath(id));
  const [question, setQuestion] = useState<Question | null>(null);
  const { run, detail } = followed;
  if (followed.missing) return <Missing text={t("run.gone")} />;
  const outlook = detail?.outlook ?? null;
  const cancel = (): Question => ({
    title: t("run.cancelTitle"),
    text: t("run.cancelText"),
    button: t("run.cancel"),
    command: "stackyard cloud up",
    run: () => get(api.POST("/api/v1/local/runs/{run}/cancel", { params: { path: { run: id } } })),
  });
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/cloud">{t("cloud.title")}</Link> /</span> {run ? t(`cloud.kind.${kind(run)}`) : t("loading")}</h1>
        {run && <StateMark state={runState(run)} text={t(`run.state.${run.state}`)} />}
        {run && <span className="quiet">{run.who}, <Ago at={run.began} /></span>}
        {run?.state === "running" && <Elapsed run={run} />}
        <div className="end">
          {run?.state === "running" && <Button variant="default" onClick={() => setQuestion(cancel())}>{t("run.cancel")}</Button>}
          {run && run.state !== "running" && run.kind !== "down" && <Button variant="default" renderRoot={(props) => <Link to="/cloud/change" {...props} />}>{t("edit.planAgain")}</Button>}
        </div>
      </div>
      {!followed.live && run?.state === "running" && <p className="quiet" role="status">{t("live.lost")}</p>}
      {run?.kind === "plan" && run.state === "done" && outlook?.plan && <Yes outlook={outlook} />}
      {outlook && outlook.problems.length > 0 && (run?.kind === "plan" || outlook.blocked) && (
        <section className="panel">
          <h2>{t("cloud.problems")}</h2>
          <Checks checks={outlook.problems} />
        </section>
      )}
      <RunView followed={followed} />
      <CommandLine text={run?.kind === "down" ? "stackyard cloud down" : upCommand(outlook?.set ?? {}, outlook?.unset ?? [], outlook?.force ?? false)} />
      <Confirm question={question} close={() => setQuestion(null)} />
    </div>
  );
}

const SIGNS: Record<string, { sign: string; kind: string; word: "create" | "replace" | "remove" | "start" }> = {
  create: { sign: "+", kind: "create", word: "create" },
  recreate: { sign: "±", kind: "replace", word: "replace" },
  start: { sign: "^", kind: "change", word: "start" },
  restart: { sign: "^", kind: "change", word: "start" },
  await: { sign: "…", kind: "await", word: "start" },
  remove: { sign: "−", kind: "remove", word: "remove" },
};

/** A plan, and the button that has it carried out. */
export function Yes({ outlook }: { outlook: Outlook }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const { plan, set, unset, force } = outlook;
  const up = useMutation({
    mutationFn: (digest: string) => get(api.POST("/api/v1/local/runs", { body: { kind: "up", set, unset, force, plan: digest } })),
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
          ? <StateMark state="ok" text={t("cloud.noop")} />
          : (
            <ul className="steps" aria-label={t("plan.title")}>
              {plan.steps.map((step) => {
                const shown = SIGNS[step.action] ?? { sign: "~", kind: "change", word: "start" as const };
                return (
                  <li key={step.step} className={shown.kind}>
                    <span className={`sign ${shown.kind}`} aria-hidden="true">{shown.sign}</span>
                    <div>
                      <span className="verb">{t(`cloud.do.${shown.word}`)}</span> <b>{step.step}</b>
                      {step.reasons.length > 0 && <span className="quiet">: {step.reasons.join("; ")}</span>}
                    </div>
                  </li>
                );
              })}
            </ul>
          )}
        {outlook.warnings.length > 0 && <ul className="warnings" aria-label={t("plan.warnings")}>{outlook.warnings.map((why) => <li key={why}>{why}</li>)}</ul>}
        {plan.disturbs && <p className="why">{t("cloud.disturbs")}</p>}
        {up.error && <Problem error={up.error} />}
        <div className="buttons">
          <Button color={plan.disturbs ? "red.8" : undefined} loading={up.isPending} onClick={() => up.mutate(plan.digest)}>{t(plan.noop ? "cloud.makeReady" : "cloud.carryOut")}</Button>
        </div>
      </div>
    </section>
  );
}
