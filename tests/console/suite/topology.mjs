// The topology of a yard.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { machine, stackyard } from "../browser.mjs";
import { check, findings } from "../checks.mjs";
import { drawn, go, page, row, text } from "./page.mjs";

// Click a box at its header: the rest belongs to its chips.
const pick = (name) => drawn(name).click({ position: { x: 30, y: 12 } });
const canvas = page.locator(".canvas");
await check("the topology: networks, what is at the edge, hosts with their containers", async () => {
  await go("/");
  await page.getByRole("link", { name: "Topology of shop" }).click();
  for (const name of [/^network front, ready, 10\.20\.0\.0\/24 · MTU 1442/, /^network public/, /^router front/, /^floating IP db/, /^load balancer web/, /^server db, ready, 10\.[23]0\./, /^host h1, ready/, /^host h2, ready/, /^volume data/, /^stack site/]) await drawn(name).waitFor();
  const inside = async (chip, box) => {
    const [a, b] = [await drawn(chip).boundingBox(), await drawn(box).boundingBox()];
    return a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width + 1 && a.y + a.height <= b.y + b.height + 1;
  };
  assert.ok(await inside(/^container site\/db-1, ready/, /^host h1/) || await inside(/^container site\/db-1, ready/, /^host h2/));
  assert.ok(await inside(/^host h1/, /^network front/), "h1 is in its network");
  assert.ok(await inside(/^volume data/, /^server db/));
  assert.ok(!(await inside(/^host h2/, /^network front/)), "h2 is no server of the yard");
});
await check("the topology: details of what is clicked, and from there to its neighbours", async () => {
  await pick(/^server db/);
  const details = page.getByRole("region", { name: "server db" });
  assert.match(await text(details), /m1\.nano/);
  await details.getByRole("button", { name: "back" }).click();
  assert.match(await text(page.getByRole("region", { name: "network back" })), /10\.30\.0\.0\/24/);
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await pick(/^host h1/);
  await page.getByRole("region", { name: "host h1" }).getByRole("link", { name: /h1/ }).waitFor();
  await page.keyboard.press("Escape");
});
await check("the topology: the console log of a server", async () => {
  await pick(/^server db/);
  await page.getByRole("button", { name: "Console log" }).click();
  const dialog = page.locator("[role=dialog]");
  await dialog.getByText("stackyard: join: DONE").waitFor();
  await dialog.getByText("stackyard console -f yard.yaml db", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Close", exact: true }).click();
  await dialog.waitFor({ state: "hidden" });
  const told = await stackyard("--json", "console", "-f", `${process.env.CONSOLE_WORK}/yard.yaml`, "db");
  assert.equal(JSON.parse(told.split("\n").at(-1)).text, "stackyard: join: DONE");
  await page.getByRole("region", { name: "server db" }).getByRole("button", { name: "Close", exact: true }).click();
});
await check("the topology: filtered by text, kind and state", async () => {
  await page.getByLabel("Filter", { exact: true }).fill("db-1");
  await drawn(/^network public/).waitFor({ state: "detached" });
  await drawn(/^container site\/db-1/).waitFor();
  assert.equal(await drawn(/^container/).count(), 1);
  await page.getByLabel("Filter", { exact: true }).fill("");
  await page.getByRole("button", { name: /^container/ }).click();
  await drawn(/^container/).first().waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^container/ }).click();
  await drawn(/^container/).first().waitFor();
});
await check("the topology is live: what a stack and the cloud do is seen without being asked", async () => {
  await stackyard("stack", "scale", "site", "web=3");
  await drawn(/^container site\/web-3, ready/).waitFor({ timeout: 60_000 });
  await page.getByText("site/web-3").first().waitFor();
  await stackyard("stack", "scale", "site", "web=2");
  await drawn(/^container site\/web-3/).waitFor({ state: "detached", timeout: 60_000 });
  await machine("yard", "late");
  await drawn(/^server late, ready/).waitFor({ timeout: 40_000 });
});
await check("the topology by keyboard: arrows, Enter, Escape, and what a reader is told", async () => {
  await go("/yards/shop/picture");
  await page.getByLabel("Filter", { exact: true }).focus();
  for (let n = 0; n < 40 && !(await canvas.evaluate((e) => e === document.activeElement)); n++) await page.keyboard.press("Tab");
  assert.match(await canvas.getAttribute("aria-label"), /arrow keys/);
  const at = () => page.evaluate(() => document.getElementById(document.activeElement.getAttribute("aria-activedescendant"))?.getAttribute("aria-label") ?? "");
  const names = new Set();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowRight"]) {
    await page.keyboard.press(key);
    names.add(await at());
  }
  assert.ok(names.size >= 5 && !names.has(""), [...names].join("; "));
  await page.keyboard.press("Enter");
  await page.locator(".details").waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".details").waitFor({ state: "detached" });
});
await check("the topology as a file that needs nothing else", async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as SVG" }).click()]);
  assert.equal(download.suggestedFilename(), "shop.svg");
  const file = readFileSync(await download.path(), "utf8");
  for (const name of ["front", "public", "h1", "site/db-1", "data"]) assert.ok(file.includes(`>${name}<`), name);
  assert.doesNotMatch(file, /href|<script|<image/);
  // Without its style, which the page's policy refuses here.
  const parsed = await page.evaluate((text) => new DOMParser().parseFromString(text, "image/svg+xml").querySelector("parsererror")?.textContent ?? "", file.replace(/<style>.*?<\/style>/, ""));
  assert.equal(parsed, "");
});
await check("the topology as a list: everything, in a table", async () => {
  await go("/yards/shop/picture");
  await page.getByText("List", { exact: true }).click();
  await row("10.20.0.0/24").waitFor();
  await page.getByRole("button", { name: "web-1", exact: true }).click();
  await page.getByRole("region", { name: "container web-1" }).waitFor();
  assert.deepEqual(await findings(page), []);
  assert.match(await text(page.locator(".cli")), /stackyard graph -f yard\.yaml --svg shop\.svg/);
});
