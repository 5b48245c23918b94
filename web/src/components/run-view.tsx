/** A run with its steps, errors and notes, live. */
import { useState, type ReactNode } from "react";
import { bytesTimeLeft, timeLeft, type ProgressSample } from "../api/eta";
import { runState, stepState, type RunFeed, type RunSummary, type RunStep } from "../api/runs";
import { formatBytes, formatDuration } from "../format";
import { useTexts } from "../i18n";
import { StateMark } from "./state-mark";
import { RelativeTime, useNow } from "./time";

/** Time since a run started. */
export function ElapsedTime({ run }: { run: RunSummary }) {
  const now = useNow(1000);
  const { t } = useTexts();
  return <span className="quiet">{t("run.elapsed", { time: formatDuration(now - Date.parse(run.began)) })}</span>;
}

/** Table of runs. `what` renders the action with a link, `why` the reason of a failure. */
export function RunTable<R extends RunSummary>({ runs, what, why }: { runs: R[]; what: (run: R) => ReactNode; why?: (run: R) => ReactNode }) {
  const { t } = useTexts();
  return (
    <table className="rows cards">
      <thead>
        <tr>
          <th scope="col">{t("access.at")}</th>
          <th scope="col">{t("access.what")}</th>
          <th scope="col">{t("access.who")}</th>
          <th scope="col">{t("access.result")}</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.id}>
            <td data-label={t("access.at")}><RelativeTime at={run.began} /></td>
            <td data-label={t("access.what")}>{what(run)}</td>
            <td data-label={t("access.who")}>{run.actor}</td>
            <td data-label={t("access.result")}><StateMark state={runState(run)} text={t(`run.state.${run.state}`)} />{why?.(run)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The steps of a run. Failed steps come first. */
export function RunView({ feed }: { feed: Pick<RunFeed<RunSummary, unknown>, "run" | "steps" | "notes"> }) {
  const { t } = useTexts();
  const { run, steps, notes } = feed;
  const done = steps.filter((step) => step.state === "done").length;
  const failed = steps.filter((step) => step.state === "failed");
  return (
    <>
      {run?.error && failed.length === 0 && <div className="problem" role="alert"><strong>{t(`run.state.${run.state}`)}</strong><ErrorText text={run.error} /></div>}
      {run?.state === "interrupted" && <p className="panel pad">{t("run.interruptedText")}</p>}
      {failed.map((step) => (
        <div key={step.step} className="problem" role="alert">
          <strong>{step.step}</strong>
          <ErrorText text={step.error ?? ""} />
          {step.hint && <p className="quiet">{step.hint}</p>}
        </div>
      ))}
      <section className="panel">
        <div className="title">
          <h2>{t("run.steps")}</h2>
          {run?.state === "running" && <TimeLeft steps={steps} />}
          <span className="end" role="status">{steps.length === 0 && run && run.state !== "running" ? t("plan.noop") : t("run.progress", { done, n: steps.length })}</span>
        </div>
        <progress className="whole" value={steps.length === 0 ? (run?.state === "done" ? 1 : 0) : done / steps.length} max={1} aria-label={t("run.progress", { done, n: steps.length })} />
        <ul className="runsteps">{steps.map((step) => <StepRow key={step.step} step={step} />)}</ul>
      </section>
      {notes.length > 0 && <section className="panel"><h2>{t("run.notes")}</h2><ul className="pad notes">{notes.map((note, at) => <li key={`${at} ${note}`}>{note}</li>)}</ul></section>}
    </>
  );
}

/** Estimated time left, if known. */
function TimeLeft({ steps }: { steps: RunStep[] }) {
  const { t } = useTexts();
  const time = timeLeft(steps, useNow(1000));
  return time === null ? null : <span className="quiet">{t("run.left", { time: formatDuration(time) })}</span>;
}

/** Estimated time left of a step that counts bytes. */
function BytesTimeLeft({ done, total }: { done: number; total: number }) {
  const { t } = useTexts();
  const now = useNow(1000);
  const [from, setFrom] = useState<ProgressSample>({ at: now, done, total });
  // A smaller count or another total means that the step now counts something else.
  if (from.total !== total || from.done > done) setFrom({ at: now, done, total });
  const time = bytesTimeLeft(from, done, now);
  return time === null ? null : <>, {t("run.left", { time: formatDuration(time) })}</>;
}

/** The full text of an error. The region scrolls, so the keyboard must reach it. */
function ErrorText({ text }: { text: string }) {
  const { t } = useTexts();
  // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
  return <div className="pre" role="region" aria-label={t("run.cause")} tabIndex={0}>{text}</div>;
}

function StepRow({ step }: { step: RunStep }) {
  const { t } = useTexts();
  const { amount } = step;
  const counted = (n: number) => (amount?.unit === "bytes" ? formatBytes(n) : String(n));
  return (
    <li data-state={step.state}>
      <StateMark state={stepState(step)} text={t(`run.step.${step.state}`)} />
      <span className="strong">{step.step}</span>
      <span className="quiet">
        {step.state === "failed" ? "" : step.doing}
        {amount && <> {counted(amount.done)}{amount.total != null && <> / {counted(amount.total)}</>}{amount.unit === "bytes" && amount.total != null && <BytesTimeLeft done={amount.done} total={amount.total} />}</>}
        {step.notes.length > 0 && step.state !== "done" && <span className="why"> {step.notes.at(-1)}</span>}
      </span>
      <span className="num quiet">{step.took_ms != null ? `${(step.took_ms / 1000).toFixed(1)} s` : ""}</span>
    </li>
  );
}
