import { expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "./base64";
import { formatAgo, formatBytes, formatDuration, shellQuote } from "./format";

test("bytes", () => {
  expect([0, 1023, 1536, 20 * 2 ** 30].map(formatBytes)).toEqual(["0 B", "1023 B", "1.5 KiB", "20 GiB"]);
});

test("times", () => {
  expect(formatAgo(0, 0, "en")).toBe("now");
  expect(formatAgo(0, 65_000, "en")).toBe("1 minute ago");
  expect(formatAgo(3 * 86_400_000, 0, "en")).toBe("in 3 days");
  expect(formatAgo(0, 7_300_000, "zh")).toBe("2小时前");
  expect([899_500, 61_000, 5, -1].map(formatDuration)).toEqual(["15:00", "1:01", "0:01", "0:00"]);
});

test("words of a shell", () => {
  expect(shellQuote("shop/web-1")).toBe("shop/web-1");
  expect(shellQuote("it's; rm")).toBe(`'it'\\''s; rm'`);
  expect(shellQuote("")).toBe("''");
});

test("base64 of any bytes", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(decodeBase64(encodeBase64(all))).toEqual(all);
  expect(encodeBase64(new TextEncoder().encode("中"))).toBe("5Lit");
});
