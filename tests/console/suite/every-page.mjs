// Checks for every page: accessibility, phone, keyboard, Chinese, dark.
import assert from "node:assert/strict";
import { context, paths, ready, sleep, url } from "../browser.mjs";
import { check, findings } from "../checks.mjs";
import { chromium, go, page, row } from "./page.mjs";

const pages = await paths();
for (const [name, path] of Object.entries(pages)) {
  for (const colorScheme of ["light", "dark"]) {
    await check(`no serious finding of axe: ${name}, ${colorScheme}`, async () => {
      await page.emulateMedia({ colorScheme });
      await go(path);
      await ready(page, name);
      assert.deepEqual(await findings(page), []);
    });
  }
}
await check("no serious finding of axe: dialogs", async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Join a host" }).click();
  await page.getByRole("combobox", { name: "Yard" }).fill("shop");
  await page.getByLabel("Name (optional)").waitFor();
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Create the command" }).click();
  await page.locator("[role=dialog] .wrap code").waitFor();
  assert.deepEqual(await findings(page), []);
});
await check("on a phone nothing is wider than the screen", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const [name, path] of Object.entries(pages)) {
    await go(path);
    await sleep(300);
    const over = await page.evaluate(() => [...document.querySelectorAll("main, main .panel, main .head")].filter((e) => e.scrollWidth > e.clientWidth + 1).length);
    assert.equal(over, 0, name);
  }
  assert.deepEqual(await findings(page), []);
  await go("/stacks/shop/site");
  const under = await page.evaluate(() => [...document.querySelectorAll(".inner .state")].filter((e) => e.getBoundingClientRect().right > e.closest("td").getBoundingClientRect().right + 1).length);
  assert.equal(under, 0, "a state reaches into its neighbour");
  await page.getByRole("button", { name: /^Terminal in web/ }).first().click();
  await page.locator(".xterm-rows").waitFor();
  const inside = await page.evaluate(() => document.querySelector(".terminal").getBoundingClientRect().right <= innerWidth);
  assert.ok(inside, "the terminal is wider than the screen");
  await page.setViewportSize({ width: 1440, height: 900 });
});
await check("the keyboard reaches everything, and shows where it is", async () => {
  await go("/hosts");
  await row("h1").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  const seen = [];
  for (let n = 0; n < 14; n++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      return { name: e.getAttribute("aria-label") ?? e.textContent.trim(), outline: getComputedStyle(e).outlineStyle };
    });
    seen.push(at);
  }
  for (const name of ["Hosts", "Access", "Account and appearance", "Join a host", "Actions on h1"]) {
    const at = seen.find((s) => s.name.startsWith(name));
    assert.ok(at, `${name} is not among ${seen.map((s) => s.name)}`);
    assert.notEqual(at.outline, "none", name);
  }
});
await check("Chinese, chosen here and kept; English again", async () => {
  await page.getByRole("button", { name: /^Account and appearance/ }).click();
  await page.getByText("中文").click();
  await page.getByRole("heading", { name: "主机" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "主机" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  await page.getByRole("button", { name: /^账户与外观/ }).click();
  await page.getByText("English").click();
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
});
await check("Chinese, chosen by the browser", async () => {
  const there = await context(chromium, { locale: "zh-CN" });
  const other = await there.newPage();
  await other.goto(url);
  await other.getByRole("button", { name: "登录" }).waitFor();
  assert.deepEqual(await findings(other), []);
  await there.close();
});
await check("dark, chosen here against the system", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await go("/");
  await page.getByRole("button", { name: /^Account and appearance/ }).click();
  await page.getByText("Dark").click();
  await page.reload();
  await page.locator("h1").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), "dark");
});
