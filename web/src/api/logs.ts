/** A log as it comes: lines of JSON, kept up to a number. */
import { problem, type Schemas } from "./client";

export type Line = Schemas["StackLine"] & { id: number };

/** Lines that are kept; the oldest go first. */
export const KEEP = 5000;

/** Whole lines of JSON among pieces of text. Empty lines say that the connection lives. */
export class Splitter {
  #rest = "";

  push(text: string): Schemas["StackLine"][] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Schemas["StackLine"]);
  }
}

/** Lines with more at the end, and how many were left out for it. */
export function append(lines: Line[], more: Line[], keep = KEEP): Line[] {
  const all = [...lines, ...more];
  return all.length > keep ? all.slice(all.length - keep) : all;
}

/** A text in pieces: what was searched for, and what is between. */
export function pieces(text: string, search: string): { text: string; found: boolean }[] {
  if (search === "") return [{ text, found: false }];
  const all: { text: string; found: boolean }[] = [];
  const low = text.toLowerCase();
  const wanted = search.toLowerCase();
  let at = 0;
  for (let next = low.indexOf(wanted); next >= 0; next = low.indexOf(wanted, at)) {
    if (next > at) all.push({ text: text.slice(at, next), found: false });
    all.push({ text: text.slice(next, next + wanted.length), found: true });
    at = next + wanted.length;
  }
  if (at < text.length) all.push({ text: text.slice(at), found: false });
  return all;
}

/** Where the logs of a stack are. */
export function logsOf(stack: { yard: string; name: string }): string {
  return `/api/v1/yards/${encodeURIComponent(stack.yard)}/stacks/${encodeURIComponent(stack.name)}/logs`;
}

/** Reads the log at a path until it ends or `signal` says so. */
export async function read(
  path: string,
  only: string,
  signal: AbortSignal,
  take: (lines: Schemas["StackLine"][]) => void,
): Promise<void> {
  const query = new URLSearchParams({ follow: "true", tail: "500", ...(only ? { only } : {}) });
  const response = await fetch(`${path}?${query.toString()}`, { signal });
  if (!response.ok || !response.body) throw problem(response, await response.json().catch(() => null));
  const splitter = new Splitter();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = splitter.push(value);
    if (lines.length > 0) take(lines);
  }
}
