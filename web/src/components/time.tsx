import { useEffect, useState } from "react";
import { formatAgo } from "../format";
import { useTexts } from "../i18n";

/** The current time in milliseconds, renewed every `every` milliseconds. */
export function useNow(every: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** A relative time, such as `3 minutes ago`, with the exact time as a tooltip. */
export function RelativeTime({ at }: { at: string | null | undefined }) {
  const { t, language } = useTexts();
  const now = useNow(10_000);
  if (!at) return <span className="quiet">{t("access.never")}</span>;
  const time = Date.parse(at);
  return <time dateTime={at} title={new Date(time).toLocaleString(language)} className="nowrap">{formatAgo(time, now, language)}</time>;
}
