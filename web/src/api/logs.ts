/** A live log: lines of JSON, limited to a number of lines. */
import { responseError, type Schemas } from "./client";

export type LogLine = Schemas["StackLine"] & { id: number };

/** Maximum number of lines in memory. The oldest go first. */
export const LOG_LINE_LIMIT = 5000;

/** Splits chunks of text into lines of JSON. Empty lines only keep the connection alive. */
export class JsonLineSplitter {
  #rest = "";

  push(text: string): Schemas["StackLine"][] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Schemas["StackLine"]);
  }
}

/** Appends lines and drops the oldest above the limit. */
export function appendLines(lines: LogLine[], more: LogLine[], keep = LOG_LINE_LIMIT): LogLine[] {
  const all = [...lines, ...more];
  return all.length > keep ? all.slice(all.length - keep) : all;
}

/** Splits a text into matches of a search and the text between them. */
export function splitMatches(text: string, search: string): { text: string; found: boolean }[] {
  if (search === "") return [{ text, found: false }];
  const all: { text: string; found: boolean }[] = [];
  const low = text.toLowerCase();
  const needle = search.toLowerCase();
  let at = 0;
  for (let next = low.indexOf(needle); next >= 0; next = low.indexOf(needle, at)) {
    if (next > at) all.push({ text: text.slice(at, next), found: false });
    all.push({ text: text.slice(next, next + needle.length), found: true });
    at = next + needle.length;
  }
  if (at < text.length) all.push({ text: text.slice(at), found: false });
  return all;
}

/** API path of a stack's logs. */
export function stackLogsPath(stack: { yard: string; name: string }): string {
  return `/api/v1/yards/${encodeURIComponent(stack.yard)}/stacks/${encodeURIComponent(stack.name)}/logs`;
}

/** Reads the log at a path until it ends or `signal` aborts. */
export async function readLog(
  path: string,
  only: string,
  signal: AbortSignal,
  take: (lines: Schemas["StackLine"][]) => void,
): Promise<void> {
  const query = new URLSearchParams({ follow: "true", tail: "500", ...(only ? { only } : {}) });
  const response = await fetch(`${path}?${query.toString()}`, { signal });
  if (!response.ok || !response.body) throw responseError(response, await response.json().catch(() => null));
  const splitter = new JsonLineSplitter();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = splitter.push(value);
    if (lines.length > 0) take(lines);
  }
}
