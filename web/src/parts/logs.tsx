import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Stack } from "../api/client";
import { append, KEEP, pieces, read, type Line } from "../api/lines";
import { useTexts } from "../i18n";
import { replicaAt } from "./container";
import { Problem } from "./problem";

/** Logs of a stack's containers, mixed as they come. */
export function Logs({ stack, only, choose }: { stack: Stack; only: string; choose: (only: string) => void }) {
  const { t } = useTexts();
  // A host that got its first container is not among those that are read: read anew then.
  const hosts = [...new Set(stack.status.services.flatMap((s) => s.replicas.map((r) => r.host)))].sort().join();
  const [attempt, setAttempt] = useState(0);
  const names = stack.status.services.flatMap((s) => [s.name, ...s.replicas.map(replicaAt)]);
  const options = [{ value: "", label: t("logs.all") }, ...[...new Set(only ? [...names, only] : names)].map((name) => ({ value: name, label: name }))];
  return (
    <section className="panel">
      <View
        key={`${only} ${hosts} ${attempt}`}
        stack={stack}
        only={only}
        retry={() => setAttempt(attempt + 1)}
        filter={<Select aria-label={t("logs.of")} data={options} value={only} onChange={(value) => choose(value ?? "")} allowDeselect={false} />}
      />
    </section>
  );
}

/** Who wrote a line: a container and its host, or a host alone. */
function writer(line: Line): string {
  return typeof line.replica === "string" ? `${line.replica}@${line.host}` : line.host;
}

interface ViewProps {
  stack: Stack;
  only: string;
  filter: React.ReactNode;
  retry: () => void;
}

function View({ stack, only, filter, retry }: ViewProps) {
  const { t } = useTexts();
  const [lines, setLines] = useState<Line[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [ended, setEnded] = useState(false);
  const [search, setSearch] = useState("");
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const { yard, name } = stack;

  useEffect(() => {
    const stop = new AbortController();
    let next = 0;
    let waiting: Line[] = [];
    let frame = 0;
    const show = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setLines((lines) => append(lines, more));
    };
    read({ yard, name }, only, stop.signal, (more) => {
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
  }, [yard, name, only]);

  const found = useMemo(() => {
    const wanted = search.toLowerCase();
    return wanted === "" ? lines : lines.filter((l) => l.text.toLowerCase().includes(wanted) || writer(l).includes(wanted));
  }, [lines, search]);

  useEffect(() => {
    const element = box.current;
    if (element && follow) element.scrollTop = element.scrollHeight;
  }, [found, follow]);

  const colours = useMemo(() => {
    const names = stack.status.services.flatMap((s) => s.replicas.map(replicaAt));
    return new Map(names.map((n, i) => [n, `h${i % 6}`]));
  }, [stack]);

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
          {search ? t("logs.found", { found: found.length, n: lines.length }) : t("logs.lines", { n: lines.length })}
          {lines.length >= KEEP && ` ${t("logs.older")}`}
        </span>
        {ended && <span><span className="quiet">{t("logs.ended")}</span> <Button variant="subtle" size="compact-xs" onClick={retry}>{t("retry")}</Button></span>}
      </div>
      {error !== null && <div className="pad"><Problem error={error} retry={retry} /></div>}
      {/* It scrolls, so the keyboard must reach it. */}
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
        {found.length === 0 && <p className="empty">{t("logs.empty")}</p>}
        {found.map((line) => (
          <div key={line.id} className={line.stream}>
            <b className={colours.get(writer(line)) ?? "h0"} title={line.host}>{writer(line)}</b>
            <span>
              {line.stream === "error" && `${t("logs.error")}: `}
              {pieces(line.text, search).map((piece, i) => piece.found ? <mark key={i}>{piece.text}</mark> : piece.text)}
            </span>
          </div>
        ))}
      </div>
    </>
  );
}
