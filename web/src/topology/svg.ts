/** Writes the diagram as a self-contained SVG file. */
import { STATE_SHAPES } from "../components/state-shapes";
import type { HealthState } from "../api/health";
import type { SceneItem } from "./items";
import { HEAD, LINE, type SceneLayout, type Rect } from "./layout";

const QUIET_COLOR = "#596464";
const STATE_COLORS: Record<HealthState, string> = {
  ready: "#1a7437", progressing: "#1d62b5", degraded: "#8f5500", failed: "#b3261e", unknown: "#b3261e",
  draining: QUIET_COLOR, waiting: QUIET_COLOR, missing: "#8f5500",
};
/** Colours of lanes, as in topology.css. */
const LANE_COLORS = ["#2f6fb3", "#3a8f5c", "#b3602f", "#7a4fa3", "#a33f5f", "#5f7a2f"];
const STYLE = "text{font:12px system-ui,sans-serif;fill:#1b2121}.n{font-weight:600}.s{font-size:11px;fill:#596464}";
const MARGIN = 20;

/** Escapes a text for XML and drops characters that XML cannot contain. */
export function escapeXml(text: string): string {
  const safe: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (c) => safe[c] ?? c);
}

/** Shortens a text to a width in pixels. Wide letters count twice. */
export function fitText(text: string, width: number, letter = 6.6): string {
  let left = width;
  let out = "";
  for (const c of text) {
    left -= c.charCodeAt(0) > 0x2e80 ? 2 * letter : letter;
    if (left < letter) return `${out}…`;
    out += c;
  }
  return out;
}

function stateSvg(state: HealthState, x: number, y: number): string {
  const paths = STATE_SHAPES[state].map((s) => {
    const ink = s.ground ? "#fff" : STATE_COLORS[state];
    const look = s.fill ? `fill="${ink}"` : `fill="none" stroke="${ink}" stroke-width="${s.width ?? 1.5}"`;
    const dash = s.dash ? ` stroke-dasharray="${s.dash}"` : "";
    return `<path d="${s.d}" ${look}${dash}${s.faint ? ' opacity="0.35"' : ""}/>`;
  });
  return `<g transform="translate(${x} ${y})">${paths.join("")}</g>`;
}

function textSvg(kind: "n" | "s" | "", x: number, y: number, content: string): string {
  return `<text${kind === "" ? "" : ` class="${kind}"`} x="${x}" y="${y}">${escapeXml(content)}</text>`;
}

function rectSvg({ x, y, w, h }: Rect, look: string): string {
  return `<rect x="${x}" y="${y}" width="${w}" height="${h}" ${look}/>`;
}

function itemSvg(item: SceneItem, word: string): string {
  const { x, y, w, h } = item.rect;
  const title = `<title>${escapeXml(word)}</title>`;
  const dash = item.state === "missing" ? ' stroke-dasharray="5 4"' : "";
  switch (item.shape) {
    case "bar":
      return `<g>${title}${rectSvg(item.rect, 'rx="4" fill="#d9dede"')}${textSvg("n", x + 10, y + 16, fitText(item.name, 300))}</g>`;
    case "lane": {
      const color = LANE_COLORS[item.tone] ?? QUIET_COLOR;
      const back = rectSvg(item.rect, `rx="6" fill="${color}" fill-opacity="0.07"`);
      const line = item.tone < 0 ? "" : `<path d="M${x + 150} ${y + LINE}H${x + w}" stroke="${color}" stroke-width="3"${dash}/>`;
      return `<g>${title}${back}${line}${textSvg("n", x + 12, y + LINE + 2, fitText(item.name, 130))}${textSvg("s", x + 12, y + LINE + 18, fitText(item.text, 148, 5.6))}</g>`;
    }
    case "chip": {
      const box = rectSvg(item.rect, `rx="4" fill="#fff" stroke="#dfe3e3"${dash}`);
      const room = w - 34 - item.text.length * 7;
      const right = item.text === "" ? "" : textSvg("s", x + w - 8 - item.text.length * 7, y + 16, item.text);
      return `<g>${title}${box}${stateSvg(item.state, x + 6, y + 5)}${textSvg("", x + 26, y + 16, fitText(item.name, room))}${right}</g>`;
    }
    default: {
      const round = item.shape === "small" ? h / 2 : 6;
      const border = item.state === "ready" ? "#aab4b4" : STATE_COLORS[item.state];
      const box = rectSvg(item.rect, `rx="${round}" fill="#fff" stroke="${border}"${dash}`);
      const room = w - 48;
      const top = item.shape === "small" ? y : y + (HEAD - 40) / 2;
      return `<g>${title}${box}${stateSvg(item.state, x + 12, top + 13)}${textSvg("n", x + 34, top + (item.text === "" ? 24 : 17), fitText(item.name, room, 7))}${textSvg("s", x + 34, top + 32, fitText(item.text, room, 6))}</g>`;
    }
  }
}

/** The SVG file. `word` returns an item's tooltip. */
export function sceneSvg(all: SceneItem[], placed: SceneLayout, title: string, word: (item: SceneItem) => string): string {
  const back = all.filter((i) => i.shape === "bar" || i.shape === "lane");
  const front = all.filter((i) => i.shape !== "bar" && i.shape !== "lane");
  const lines = placed.lines.filter((l) => !l.quiet).map((l) => {
    const dash = l.kind === "member" ? ' stroke-dasharray="3 4"' : "";
    const dot = l.dot ? `<circle cx="${l.dot.x}" cy="${l.dot.y}" r="3.5" fill="${QUIET_COLOR}"/>` : "";
    return `<path d="${l.d}" fill="none" stroke="${QUIET_COLOR}"${dash}/>${dot}`;
  });
  const [width, height] = [Math.ceil(placed.width) + 2 * MARGIN, Math.ceil(placed.height) + 2 * MARGIN];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}">`,
    `<title>${escapeXml(title)}</title><style>${STYLE}</style>`,
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" fill="#fff"/>`,
    ...back.map((item) => itemSvg(item, word(item))),
    ...lines,
    ...front.map((item) => itemSvg(item, word(item))),
    "</svg>\n",
  ].join("\n");
}
