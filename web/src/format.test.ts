import { expect, test } from "vitest";
import { decode, encode } from "./base64";
import { ago, bytes, countdown, shell } from "./format";

test("bytes", () => {
  expect([0, 1023, 1536, 20 * 2 ** 30].map(bytes)).toEqual(["0 B", "1023 B", "1.5 KiB", "20 GiB"]);
});

test("times", () => {
  expect(ago(0, 0, "en")).toBe("now");
  expect(ago(0, 65_000, "en")).toBe("1 minute ago");
  expect(ago(3 * 86_400_000, 0, "en")).toBe("in 3 days");
  expect(ago(0, 7_300_000, "zh")).toBe("2小时前");
  expect([899_500, 61_000, 5, -1].map(countdown)).toEqual(["15:00", "1:01", "0:01", "0:00"]);
});

test("words of a shell", () => {
  expect(shell("shop/web-1")).toBe("shop/web-1");
  expect(shell("it's; rm")).toBe(`'it'\\''s; rm'`);
  expect(shell("")).toBe("''");
});

test("base64 of any bytes", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(decode(encode(all))).toEqual(all);
  expect(encode(new TextEncoder().encode("中"))).toBe("5Lit");
});
