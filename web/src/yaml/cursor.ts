/**
 * The place of a cursor in a YAML text: the path of keys that leads there, and the text that is being typed. It follows
 * indentation and brackets instead of using a parser, because a text is rarely valid while the user types.
 */

/** A path of keys. `[]` is an item of a list. */
export type KeyPath = string[];

export interface CursorPlace {
  /** Keys from the root to the value, or to the mapping of the key that is being typed. */
  path: KeyPath;
  /** Whether the user is typing a key or a value. */
  editing: "key" | "value";
  /** The typed text before the cursor. */
  word: string;
}

const KEY = /^("[^"]*"|'[^']*'|[^\s#:,[\]{}"'][^:#,[\]{}]*?)\s*:(?=\s|$)/;

interface YamlLine {
  /** Columns of the leading dashes. */
  dashes: number[];
  /** Column of the text after the dashes. */
  column: number;
  rest: string;
}

function parseLine(text: string): YamlLine {
  const dashes: number[] = [];
  let column = text.search(/\S|$/);
  while (text[column] === "-" && (text[column + 1] === " " || column + 1 === text.length)) {
    dashes.push(column);
    const next = text.slice(column + 1).search(/\S|$/);
    column += 1 + next;
  }
  return { dashes, column, rest: text.slice(column) };
}

function unquoted(key: string): string {
  return key.replace(/^(["'])(.*)\1$/, "$2");
}

/** Keys of the mappings around a column that the lines before `end` open. */
function enclosingKeys(lines: string[], end: number, line: YamlLine): KeyPath {
  const path: KeyPath = [];
  // The leftmost column so far. A list may start at the column of its key.
  const now = { limit: line.column, inList: false };
  const dash = (columns: number[]) => {
    for (const column of [...columns].reverse()) {
      if (column >= now.limit) continue;
      path.unshift("[]");
      now.limit = column;
      now.inList = true;
    }
  };
  dash(line.dashes);
  for (let at = end - 1; at >= 0 && (now.limit > 0 || now.inList); at -= 1) {
    const text = lines[at] ?? "";
    if (/^\s*(#|$)/.test(text)) continue;
    const { dashes, column, rest } = parseLine(text);
    const key = KEY.exec(rest)?.[1];
    if (key !== undefined && (column < now.limit || (now.inList && dashes.length === 0 && column === now.limit))) {
      path.unshift(unquoted(key));
      now.limit = column;
      now.inList = false;
    } else if (key === undefined && column < now.limit) {
      now.limit = column;
    }
    dash(dashes);
  }
  return path;
}

/** The cursor's place in its own line, key by key and bracket by bracket. */
function cursorInLine(text: string, outer: KeyPath): CursorPlace | null {
  const path = [...outer];
  const open: { bracket: string; length: number }[] = [];
  let key: string | null = null;
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const c = text[at] ?? "";
    if (quote) {
      if (c === quote) quote = "";
      else word += c;
    } else if ((c === '"' || c === "'") && word.trim() === "") quote = c;
    else if (c === "#" && (at === 0 || /\s/.test(text[at - 1] ?? ""))) return null;
    else if (c === "{" || c === "[") {
      open.push({ bracket: c, length: path.length });
      if (key !== null) path.push(key);
      if (c === "[") path.push("[]");
      key = null;
      word = "";
    } else if (c === "}" || c === "]") {
      path.length = open.pop()?.length ?? path.length;
      key = null;
      word = "";
    } else if (c === "," && open.length > 0) {
      key = null;
      word = "";
    } else if (c === ":" && /^(\s|$)/.test(text.slice(at + 1)) && key === null) {
      key = unquoted(word.trim());
      word = "";
    } else word += c;
  }
  word = word.trimStart();
  if (key !== null) return { path: [...path, key], editing: "value", word };
  const inBrackets = open.at(-1)?.bracket;
  if (inBrackets === "[") return { path, editing: "value", word };
  return { path, editing: "key", word };
}

/** The place of a cursor at an offset into a text, or null in a comment. */
export function cursorPlace(text: string, offset: number): CursorPlace | null {
  const lines = text.slice(0, offset).split("\n");
  const current = lines.pop() ?? "";
  const line = parseLine(current);
  return cursorInLine(line.rest, enclosingKeys(lines, lines.length, line));
}
