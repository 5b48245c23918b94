/** Icons of states. Each is recognizable without colour and at any size. */
import type { HealthState } from "../api/health";

/** An SVG path in a square of 14 by 14 units. */
export interface ShapePath {
  d: string;
  /** Fills the path instead of drawing a line. */
  fill?: true;
  /** Line width in units. */
  width?: number;
  /** Uses the background colour. */
  ground?: true;
  dash?: string;
  faint?: true;
  /** Rotates while work is in progress. */
  turns?: true;
}

const circle = (r: number) => `M${7 - r} 7a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0${-2 * r} 0`;

export const STATE_SHAPES: Record<HealthState, ShapePath[]> = {
  ready: [{ d: circle(6), fill: true }, { d: "M4.2 7.2l2 2 3.6-4", width: 1.6, ground: true }],
  progressing: [{ d: circle(5.2), width: 1.6, faint: true }, { d: "M7 1.8a5.2 5.2 0 0 1 5.2 5.2", width: 1.8, turns: true }],
  degraded: [{ d: "M7 1l6.3 11.4H.7z", fill: true }, { d: "M7 5v3.6M7 9.8v1.2", width: 1.4, ground: true }],
  failed: [
    { d: "M4.2 1h5.6L13 4.2v5.6L9.8 13H4.2L1 9.8V4.2z", fill: true },
    { d: "M4.8 4.8l4.4 4.4M9.2 4.8L4.8 9.2", width: 1.5, ground: true },
  ],
  unknown: [{ d: circle(5.3), width: 1.5, dash: "2.4 2" }, { d: "M3.5 10.5l7-7", width: 1.5 }],
  draining: [{ d: circle(5.3), width: 1.5 }, { d: "M5.4 4.8v4.4M8.6 4.8v4.4", width: 1.5 }],
  waiting: [{ d: circle(5.3), width: 1.5 }, { d: "M7 4v3.2l2 1.4", width: 1.4 }],
  missing: [{ d: "M1.8 1.8h10.4v10.4H1.8z", width: 1.5, dash: "2.6 2" }, { d: "M5 5l4 4M9 5l-4 4", width: 1.4 }],
};
