/** Moves the keyboard focus with the arrow keys. */
import type { Rect } from "./layout";

export type Direction = "left" | "right" | "up" | "down";

const middle = (r: Rect) => ({ x: r.x + r.w / 2, y: r.y + r.h / 2 });

/** Id of the nearest item in a direction. A sideways offset counts more than distance. */
export function nextItem(rects: Map<string, Rect>, from: string, direction: Direction): string | undefined {
  const start = rects.get(from);
  if (!start) return undefined;
  const at = middle(start);
  const along = direction === "left" || direction === "right" ? "x" : "y";
  const across = along === "x" ? "y" : "x";
  const sign = direction === "left" || direction === "up" ? -1 : 1;
  let best: string | undefined;
  let least = Infinity;
  for (const [id, rect] of rects) {
    if (id === from) continue;
    const there = middle(rect);
    const ahead = (there[along] - at[along]) * sign;
    if (ahead < 4) continue;
    const distance = ahead + 2.5 * Math.abs(there[across] - at[across]);
    if (distance < least) [best, least] = [id, distance];
  }
  return best;
}
