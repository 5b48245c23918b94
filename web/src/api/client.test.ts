import { expect, test } from "vitest";
import { fetchAll, nextMarker } from "./client";

const answer = (link?: string) => new Response("[]", link === undefined ? {} : { headers: { link } });

test("the next page is where the server says", () => {
  expect(nextMarker(answer())).toBeUndefined();
  expect(nextMarker(answer('</api/v1/hosts?yard=a%20b&limit=2&marker=shop%2Fweb-2>; rel="next"'))).toBe("shop/web-2");
});

test("all of a list is read, page by page", async () => {
  const asked: (string | undefined)[] = [];
  const pages: Record<string, [number[], string?]> = { "": [[1, 2], '</x?marker=2>; rel="next"'], "2": [[3]] };
  const items = await fetchAll(({ marker }) => {
    asked.push(marker);
    const [data, link] = pages[marker ?? ""] ?? [[]];
    return Promise.resolve({ data, response: answer(link) });
  });
  expect([items, asked]).toEqual([[1, 2, 3], [undefined, "2"]]);
});
