import { expect, test } from "vitest";
import { eventStreamUrl, appendEvents, type ContainerEvent } from "./container-events";

const event = (seq: number): ContainerEvent => ({
  seq, at: "2026-11-26T10:00:00Z", yard: "shop", host: "h", host_name: "web-1", stack: "site", service: "web", replica: "web-1", container: "abc", kind: "started", oom: false, lines: [],
});

test("each event is there once, and the oldest go first", () => {
  const seqs = (events: ContainerEvent[]) => events.map((one) => one.seq);
  const some = appendEvents([], [event(3), event(5)]);
  expect(seqs(appendEvents(some, [event(3), event(5), event(6)]))).toEqual([3, 5, 6]);
  expect(seqs(appendEvents(some, [event(6), event(7)], 3))).toEqual([5, 6, 7]);
});

test("a filter is the server's to apply", () => {
  expect(eventStreamUrl("/e", "", "")).toBe("/e/stream?tail=500");
  expect(eventStreamUrl("/e", "web@host-1", "died")).toBe("/e/stream?tail=500&only=web%40host-1&kind=died");
});
