import { expect, test } from "vitest";
import { fillText, preferredLanguage } from ".";
import { en } from "./en";
import { zh } from "./zh";

test("the browser's first language that is known", () => {
  expect(preferredLanguage(["de-DE", "zh-Hant-TW", "en"])).toBe("zh");
  expect(preferredLanguage(["en-GB", "zh"])).toBe("en");
  expect(preferredLanguage(["fr"])).toBe("en");
});

test("values and numbers", () => {
  expect(fillText("{ready} of {n}", { ready: 1, n: 2 })).toBe("1 of 2");
  expect(fillText("1 line|{n} lines", { n: 1 })).toBe("1 line");
  expect(fillText("1 line|{n} lines", { n: 0 })).toBe("0 lines");
});

test("a translation has the same values as the text", () => {
  const values = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
  for (const [key, text] of Object.entries(en)) {
    expect(values(zh[key as keyof typeof en]), key).toEqual(values(text));
  }
});
