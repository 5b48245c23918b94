import { Button, TextInput } from "@mantine/core";
import { IconFilePlus, IconX } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { api, asApiError, unwrap, type Mistake, type Schemas } from "../api/client";
import { clouds, manifest, manifests, yards } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { PlanReview } from "../components/plan-review";
import { QueryResult, Problem } from "../components/problem";
import { RelativeTime } from "../components/time";
import { yardName } from "../yaml/yard-name";

const ManifestEditor = lazy(() => import("../components/manifest-editor"));

export function EditYardPage() {
  const { t } = useTexts();
  const { yard } = useParams({ from: "/yards/$yard/edit" });
  const { revision } = useSearch({ from: "/yards/$yard/edit" });
  const [yardQuery, cloudQuery, historyQuery] = [useQuery(yards), useQuery(clouds), useQuery(manifests(yard))];
  const current = yardQuery.data?.find((one) => one.name === yard)?.revision;
  const shownRevision = revision ?? current ?? historyQuery.data?.[0]?.revision;
  const manifestQuery = useQuery({ ...manifest(yard, shownRevision ?? 0), enabled: shownRevision !== undefined });
  return (
    <QueryResult query={cloudQuery}>
      {(all) => <QueryResult query={manifestQuery}>
        {(saved) => (
          <ManifestForm
            key={`${yard} ${saved.revision}`}
            title={revision === undefined ? t("yard.edit") : t("yard.revertTitle")}
            text={saved.manifest}
            clouds={all.map((one) => one.name)}
            yard={yard}
            savedManifest={saved}
            current={current}
            reverting={revision !== undefined && revision !== current}
          />
        )}
      </QueryResult>}
    </QueryResult>
  );
}

interface ManifestFormProps {
  title: string;
  text: string;
  clouds: string[];
  /** Name of the yard. If it is new, its manifest has the name. */
  yard?: string;
  savedManifest?: Schemas["ManifestText"];
  /** Current revision of the yard. Undefined if it is new or removed. */
  current?: number | undefined;
  reverting?: boolean;
  /** Buttons at the end of the header that switch between form and manifest. */
  methodSwitch?: ReactNode;
  /** Receives the text after each change. */
  onTextChange?: (text: string) => void;
  /** Focus the editor when it opens. */
  focus?: boolean;
}

type ExtraFile = { path: string; text: string };

/** Delay between the last input and the check, in milliseconds. */
const CHECK_DELAY_MS = 400;

/** Writes, checks, plans and applies a manifest. */
export function ManifestForm({ title, text: before, clouds, yard: fixed, savedManifest, current, reverting, methodSwitch, onTextChange, focus }: ManifestFormProps) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const [text, setText] = useState(before);
  const [files, setFiles] = useState<ExtraFile[]>([]);
  const [goto, setGoto] = useState<{ line: number; column: number } | null>(focus ? { line: 1, column: 1 } : null);
  const yard = fixed ?? yardName(text) ?? "yard";
  const body: Schemas["YardRequest"] = {
    manifest: text,
    files: Object.fromEntries(files.map((file) => [file.path, file.text])),
    ...(savedManifest ? { revision: savedManifest.revision } : {}),
  };
  const params = { path: { yard } };
  const check = useManifestCheck(yard, body);
  const plan = useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/yards/{yard}/plan", { params, body })) });
  const run = useMutation({
    mutationFn: (agreed: Pick<Schemas["YardRequest"], "plan" | "allow_data_loss">) =>
      unwrap(
        api.POST("/api/v1/yards/{yard}/runs", {
          params: { ...params, header: current === undefined ? { "If-None-Match": "*" } : { "If-Match": `"${current}"` } },
          body: { ...body, ...agreed },
        }),
      ),
    onSuccess: (begun) => navigate({ to: "/yards/$yard/runs/$run", params: { yard: begun.yard, run: begun.id } }),
  });
  const change = (next: string) => {
    setText(next);
    onTextChange?.(next);
    plan.reset();
    run.reset();
  };
  const refused = plan.error ? asApiError(plan.error) : null;
  const mistakes = check.mistakes.length > 0 ? check.mistakes : (refused?.mistakes ?? NO_MISTAKES);
  return (
    <div className="page">
      <div className="head">
        <h1>
          <span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / {fixed !== undefined && <><Link to="/yards/$yard" params={{ yard: fixed }}>{fixed}</Link> / </>}</span>
          {title}
        </h1>
        {reverting && savedManifest && <span className="quiet">{savedManifest.actor} <RelativeTime at={savedManifest.kept} /></span>}
        {methodSwitch}
      </div>
      <section className="panel">
        <div className="title">
          <h2>{t("edit.manifest")}</h2>
          <span className="end quiet" role="status">{check.busy ? t("edit.checking") : mistakes.length > 0 ? t("edit.mistakes", { n: mistakes.length }) : check.error ? "" : t("edit.good")}</span>
        </div>
        <Suspense fallback={<div className="editor empty">{t("loading")}</div>}>
          <ManifestEditor value={text} change={change} mistakes={mistakes} clouds={clouds} label={t("edit.manifest")} goto={goto} />
        </Suspense>
        {mistakes.length > 0 && (
          <ul className="mistakes" aria-label={t("edit.mistakes", { n: mistakes.length })}>
            {mistakes.map((mistake) => (
              <li key={`${mistake.file} ${mistake.line ?? 0} ${mistake.column ?? 0} ${mistake.message}`}>
                <MistakeLink mistake={mistake} go={setGoto} /> {mistake.message}{mistake.hint && <span className="quiet">; {mistake.hint}</span>}
              </li>
            ))}
          </ul>
        )}
        {check.error !== null && check.mistakes.length === 0 && <div className="pad"><Problem error={check.error} /></div>}
        <ExtraFiles files={files} kept={savedManifest?.files ?? []} set={(next) => { setFiles(next); plan.reset(); }} />
      </section>
      <div className="buttons">
        <Button variant={plan.data ? "default" : "filled"} loading={plan.isPending} disabled={check.mistakes.length > 0} onClick={() => plan.mutate()}>{t("edit.plan")}</Button>
      </div>
      {refused && refused.mistakes.length === 0 && <Problem error={refused} />}
      {plan.data && <PlanReview plan={plan.data} apply={(allowDataLoss) => run.mutate({ plan: plan.data.digest, allow_data_loss: allowDataLoss })} busy={run.isPending} error={run.error} yard={yard} again={() => { run.reset(); plan.mutate(); }} />}
      <CommandLine text={`stackyard ${plan.data ? "up" : "plan"} -f ${shellQuote(`${yard}.yaml`)}`} />
    </div>
  );
}

const NO_MISTAKES: Mistake[] = [];

/** The server's check of a manifest, shortly after the last change. Until then, the previous result. */
function useManifestCheck(yard: string, body: Schemas["YardRequest"]): { mistakes: Mistake[]; error: unknown; busy: boolean } {
  const [lastAnswer, setLastAnswer] = useState<{ of: string; mistakes: Mistake[]; error: unknown }>({ of: "", mistakes: NO_MISTAKES, error: null });
  const requestKey = JSON.stringify([yard, body]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const [name, wish] = JSON.parse(requestKey) as [string, Schemas["YardRequest"]];
      unwrap(api.POST("/api/v1/yards/{yard}/check", { params: { path: { yard: name } }, body: wish, signal: stop.signal }))
        .then(() => setLastAnswer({ of: requestKey, mistakes: NO_MISTAKES, error: null }))
        .catch((reason: unknown) => {
          if (!stop.signal.aborted) setLastAnswer({ of: requestKey, mistakes: asApiError(reason).mistakes, error: reason });
        });
    }, CHECK_DELAY_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [requestKey]);
  return { ...lastAnswer, busy: lastAnswer.of !== requestKey };
}

function MistakeLink({ mistake, go }: { mistake: Mistake; go: (place: { line: number; column: number }) => void }) {
  const { line, column, file } = mistake;
  if (line == null || file !== "yard.yaml") return <span className="mono">{line == null ? file : `${file}:${line}`}</span>;
  return <button type="button" className="place mono" onClick={() => go({ line, column: column ?? 1 })}>{line}:{column ?? 1}</button>;
}

/** Files that the manifest names and the request includes. */
function ExtraFiles({ files, kept, set }: { files: ExtraFile[]; kept: string[]; set: (files: ExtraFile[]) => void }) {
  const { t } = useTexts();
  const input = useRef<HTMLInputElement>(null);
  const add = async (list: FileList | null) => {
    const added = await Promise.all([...(list ?? [])].map(async (file) => ({ path: file.name, text: await file.text() })));
    const names = new Set(added.map((file) => file.path));
    set([...files.filter((file) => !names.has(file.path)), ...added]);
  };
  const others = kept.filter((path) => !files.some((file) => file.path === path));
  return (
    <div className="files">
      <p className="quiet">{t("edit.files")}</p>
      <ul>
        {others.map((path) => <li key={path}><span className="mono">{path}</span> <span className="quiet">{t("edit.kept")}</span></li>)}
        {files.map((file, at) => (
          <li key={at}>
            <TextInput aria-label={t("edit.path")} value={file.path} onChange={(e) => set(files.with(at, { ...file, path: e.currentTarget.value }))} />
            <span className="quiet">{t("edit.lines", { n: file.text.split("\n").length })}</span>
            <Button variant="subtle" size="compact-xs" c="var(--bad)" aria-label={t("edit.dropOf", { name: file.path })} onClick={() => set(files.filter((_, n) => n !== at))}><IconX size={14} /></Button>
          </li>
        ))}
      </ul>
      <input ref={input} type="file" multiple hidden onChange={(e) => { void add(e.currentTarget.files); e.currentTarget.value = ""; }} data-testid="files" />
      <Button variant="default" leftSection={<IconFilePlus size={15} />} onClick={() => input.current?.click()}>{t("edit.add")}</Button>
    </div>
  );
}
