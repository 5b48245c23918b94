import { bytes } from "../format";

/** How much of something is in use. */
export function Meter({ used, all, label }: { used: number; all: number; label: string }) {
  const share = all > 0 ? used / all : 0;
  return (
    <div className={share > 0.9 ? "meter high" : "meter"}>
      <span className="nowrap">{bytes(used)} <span className="quiet">/ {bytes(all)}</span></span>
      <progress value={share} max={1} aria-label={label} />
    </div>
  );
}
