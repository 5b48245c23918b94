import { formatBytes } from "../format";

/** Used and total bytes with a progress bar. */
export function UsageMeter({ used, all, label }: { used: number; all: number; label: string }) {
  const share = all > 0 ? used / all : 0;
  return (
    <div className={share > 0.9 ? "meter high" : "meter"}>
      <span className="nowrap">{formatBytes(used)} <span className="quiet">/ {formatBytes(all)}</span></span>
      <progress value={share} max={1} aria-label={label} />
    </div>
  );
}
