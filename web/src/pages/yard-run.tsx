import { Button } from "@mantine/core";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, get } from "../api/client";
import { useMay } from "../api/queries";
import { runState, useRun } from "../api/runs";
import { shell } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { Confirm, type Question } from "../components/confirm-dialog";
import { Elapsed, RunView } from "../components/run-view";
import { StateMark } from "../components/state-mark";
import { Ago } from "../components/time";
import { Missing } from "./not-found";

export function RunPage() {
  const { yard, run } = useParams({ from: "/yards/$yard/runs/$run" });
  return <Following key={run} yard={yard} id={run} />;
}

function Following({ yard, id }: { yard: string; id: string }) {
  const { t } = useTexts();
  const may = useMay("operator");
  const followed = useRun(yard, id);
  const [question, setQuestion] = useState<Question | null>(null);
  const { run } = followed;
  if (followed.missing) return <Missing text={t("run.gone")} />;
  const cancel = (): Question => ({
    title: t("run.cancelTitle"),
    text: t("run.cancelText"),
    button: t("run.cancel"),
    command: `stackyard up -f ${shell(`${yard}.yaml`)}`,
    run: () => get(api.POST("/api/v1/yards/{yard}/runs/{run}/cancel", { params: { path: { yard, run: id } } })),
  });
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / <Link to="/yards/$yard" params={{ yard }}>{yard}</Link> /</span> {run ? t(`run.kind.${run.kind}`) : t("loading")}</h1>
        {run && <StateMark state={runState(run)} text={t(`run.state.${run.state}`)} />}
        {run && <span className="quiet">{run.who}, <Ago at={run.began} /></span>}
        {run?.state === "running" && <Elapsed run={run} />}
        {may && run?.state === "running" && <div className="end"><Button variant="default" onClick={() => setQuestion(cancel())}>{t("run.cancel")}</Button></div>}
      </div>
      {!followed.live && run?.state === "running" && <p className="quiet" role="status">{t("live.lost")}</p>}
      <RunView followed={followed} />
      <CommandLine text={`stackyard ${run?.kind ?? "up"} -f ${shell(`${yard}.yaml`)}`} />
      <Confirm question={question} close={() => setQuestion(null)} />
    </div>
  );
}
