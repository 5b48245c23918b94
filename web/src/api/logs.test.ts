import { expect, test } from "vitest";
import { appendLines, splitMatches, JsonLineSplitter } from "./logs";

test("lines come whole, however they are cut", () => {
  const line = { replica: "web-1", host: "h1", stream: "stdout", text: "grüße\tx" };
  const text = `${JSON.stringify(line)}\n\n${JSON.stringify({ ...line, text: "2" })}\n`;
  for (let cut = 0; cut <= text.length; cut++) {
    const splitter = new JsonLineSplitter();
    const all = [...splitter.push(text.slice(0, cut)), ...splitter.push(text.slice(cut))];
    expect(all.map((l) => l.text)).toEqual([line.text, "2"]);
  }
});

test("the oldest lines go first", () => {
  const line = (id: number) => ({ id, host: "h", stream: "stdout", text: "" });
  expect(appendLines([line(1), line(2)], [line(3), line(4)], 3).map((l) => l.id)).toEqual([2, 3, 4]);
});

test("what was searched for is marked", () => {
  expect(splitMatches("GET /get", "get").map((p) => [p.text, p.found])).toEqual([["GET", true], [" /", false], ["get", true]]);
  expect(splitMatches("abc", "")).toEqual([{ text: "abc", found: false }]);
  expect(splitMatches("abc", "x")).toEqual([{ text: "abc", found: false }]);
});
