import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Stack } from "../api/client";
import { appendLines, LOG_LINE_LIMIT, stackLogsPath, splitMatches, readLog, type LogLine } from "../api/logs";
import { useTexts } from "../i18n";
import { replicaKey } from "./container-state";
import { Problem } from "./problem";

/** Logs of a stack's containers, interleaved as they arrive. */
export function StackLogs({ stack, only, choose }: { stack: Stack; only: string; choose: (only: string) => void }) {
  const replicas = stack.status.services.flatMap((s) => s.replicas);
  // The stream covers only hosts that had containers when it began, so restart it when the hosts change.
  const from = [...new Set(replicas.map((r) => r.host))].sort().join();
  const writers = replicas.map(replicaKey);
  const names = stack.status.services.flatMap((s) => [s.name, ...s.replicas.map(replicaKey)]);
  return <LogView path={stackLogsPath(stack)} from={from} names={names} writers={writers} only={only} choose={choose} />;
}

interface LogViewProps {
  path: string;
  /** Sources of the lines. A change restarts the stream. */
  from: string;
  /** Names in the filter. */
  names: string[];
  /** Writers of lines, in the order of their colours. */
  writers: string[];
  /** All writers are on one host, so leave its name out. */
  alone?: boolean;
  only: string;
  choose: (only: string) => void;
}

/** Logs at an API path, of one writer or of all. */
export function LogView({ path, from, names, writers, alone = false, only, choose }: LogViewProps) {
  const { t } = useTexts();
  const [attempt, setAttempt] = useState(0);
  const options = [{ value: "", label: t("logs.all") }, ...[...new Set(only ? [...names, only] : names)].map((name) => ({ value: name, label: name }))];
  return (
    <section className="panel">
      <LogStream
        key={`${only} ${from} ${attempt}`}
        path={path}
        writers={writers}
        alone={alone}
        only={only}
        retry={() => setAttempt(attempt + 1)}
        filter={<Select searchable aria-label={t("logs.of")} data={options} value={only} onChange={(value) => choose(value ?? "")} allowDeselect={false} />}
      />
    </section>
  );
}

/** Name of a line's writer: `container@host`, the host if there is no container, or the container if all share a host. */
function lineWriter(line: LogLine, alone: boolean): string {
  if (typeof line.replica !== "string") return line.host;
  return alone ? line.replica : `${line.replica}@${line.host}`;
}

interface LogStreamProps {
  path: string;
  writers: string[];
  alone: boolean;
  only: string;
  filter: React.ReactNode;
  retry: () => void;
}

function LogStream({ path, writers, alone, only, filter, retry }: LogStreamProps) {
  const { t } = useTexts();
  const [lines, setLines] = useState<LogLine[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [ended, setEnded] = useState(false);
  const [search, setSearch] = useState("");
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const stop = new AbortController();
    let next = 0;
    let waiting: LogLine[] = [];
    let frame = 0;
    const show = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setLines((lines) => appendLines(lines, more));
    };
    readLog(path, only, stop.signal, (more) => {
      waiting.push(...more.map((line) => ({ ...line, id: next++ })));
      frame ||= requestAnimationFrame(show);
    })
      .then(() => setEnded(true))
      .catch((reason: unknown) => {
        if (!stop.signal.aborted) setError(reason);
      });
    return () => {
      stop.abort();
      cancelAnimationFrame(frame);
    };
  }, [path, only]);

  const visibleLines = useMemo(() => {
    const searchText = search.toLowerCase();
    return searchText === "" ? lines : lines.filter((l) => l.text.toLowerCase().includes(searchText) || lineWriter(l, alone).includes(searchText));
  }, [lines, search, alone]);

  useEffect(() => {
    const element = box.current;
    if (element && follow) element.scrollTop = element.scrollHeight;
  }, [visibleLines, follow]);

  const colours = new Map(writers.map((n, i) => [n, `h${i % 6}`]));

  return (
    <>
      <div className="logbar">
        <TextInput
          type="search"
          aria-label={t("logs.search")}
          placeholder={t("logs.search")}
          leftSection={<IconSearch size={14} />}
          value={search}
          onChange={(e) => setSearch(e.currentTarget.value)}
        />
        {filter}
        <Checkbox size="xs" label={t("logs.follow")} checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} />
        <span className="quiet" role="status">
          {search ? t("logs.found", { found: visibleLines.length, n: lines.length }) : t("logs.lines", { n: lines.length })}
          {lines.length >= LOG_LINE_LIMIT && ` ${t("logs.older")}`}
        </span>
        {ended && <span><span className="quiet">{t("logs.ended")}</span> <Button variant="subtle" size="compact-xs" onClick={retry}>{t("retry")}</Button></span>}
      </div>
      {error !== null && <div className="pad"><Problem error={error} retry={retry} /></div>}
      {/* The region scrolls, so the keyboard must reach it. */}
      <div
        className="log"
        ref={box}
        role="log"
        aria-live="off"
        aria-label={t("logs.label")}
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onWheel={(event) => {
          if (event.deltaY < 0) setFollow(false);
        }}
      >
        {visibleLines.length === 0 && <p className="empty">{t("logs.empty")}</p>}
        {visibleLines.map((line) => (
          <div key={line.id} className={line.stream}>
            <b className={colours.get(lineWriter(line, alone)) ?? "h0"} title={line.host}>{lineWriter(line, alone)}</b>
            <span>
              {line.stream === "error" && `${t("logs.error")}: `}
              {splitMatches(line.text, search).map((piece, i) => piece.found ? <mark key={i}>{piece.text}</mark> : piece.text)}
            </span>
          </div>
        ))}
      </div>
    </>
  );
}
