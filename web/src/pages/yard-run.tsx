import { Button } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { useHasRole } from "../api/queries";
import { runState, useYardRun } from "../api/runs";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { ElapsedTime, RunView } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";
import { NotFound } from "./not-found";

export function YardRunPage() {
  const { yard, run } = useParams({ from: "/yards/$yard/runs/$run" });
  return <RunDetails key={run} yard={yard} id={run} />;
}

function RunDetails({ yard, id }: { yard: string; id: string }) {
  const { t } = useTexts();
  const canCancel = useHasRole("operator");
  const feed = useYardRun(yard, id);
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const { run } = feed;
  if (feed.missing) return <NotFound text={t("run.gone")} />;
  const cancel = (): ConfirmRequest => ({
    title: t("run.cancelTitle"),
    text: t("run.cancelText"),
    button: t("run.cancel"),
    command: `stackyard up -f ${shellQuote(`${yard}.yaml`)}`,
    run: () => unwrap(api.POST("/api/v1/yards/{yard}/runs/{run}/cancel", { params: { path: { yard, run: id } } })),
  });
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / <Link to="/yards/$yard" params={{ yard }}>{yard}</Link> /</span> {run ? t(`run.kind.${run.kind}`) : t("loading")}</h1>
        {run && <StateMark state={runState(run)} text={t(`run.state.${run.state}`)} />}
        {run && <span className="quiet">{run.actor}, <RelativeTime at={run.began} /></span>}
        {run?.state === "running" && <ElapsedTime run={run} />}
        {canCancel && run?.state === "running" && <div className="end"><Button variant="default" onClick={() => setQuestion(cancel())}>{t("run.cancel")}</Button></div>}
      </div>
      {!feed.live && run?.state === "running" && <p className="quiet" role="status">{t("live.lost")}</p>}
      <RunView feed={feed} />
      <CommandLine text={`stackyard ${run?.kind ?? "up"} -f ${shellQuote(`${yard}.yaml`)}`} />
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
    </div>
  );
}
