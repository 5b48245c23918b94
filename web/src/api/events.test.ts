import { expect, test } from "vitest";
import { changedNouns, type Revisions } from "./events";

const first: Revisions = { server: 1, hosts: 5, stacks: 2, yards: 0, runs: 0, tokens: 0, audit: 9, clouds: 0, local: 0 };

test("what grew is read again", () => {
  expect(changedNouns(first, { ...first, hosts: 6, audit: 10 })).toEqual(["hosts", "audit"]);
  expect(changedNouns(first, first)).toEqual([]);
});

test("the first event, and the first one of a restarted server, concern everything", () => {
  const all = ["hosts", "stacks", "yards", "runs", "tokens", "audit", "clouds", "local"];
  expect(changedNouns(undefined, first)).toEqual(all);
  expect(changedNouns(first, { ...first, server: 2 })).toEqual(all);
});
