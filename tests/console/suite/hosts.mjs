// Machines that join, and a stack over them.
import assert from "node:assert/strict";
import { machine, stackyard } from "../browser.mjs";
import { check, within } from "../checks.mjs";
import { go, page, replicas, row, text } from "./page.mjs";

await check("a machine joins with the line of the dialog, which tells when it has", async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Join a host" }).click();
  await page.getByRole("combobox", { name: "Yard" }).fill("shop");
  await page.getByLabel("Name (optional)").fill("h2");
  await page.getByRole("button", { name: "Create the command" }).click();
  const command = page.locator("[role=dialog] .wrap code");
  await command.waitFor();
  const line = await text(command);
  await page.locator("[role=dialog] .wrap button").click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);
  await page.getByText(/for 14:\d\d/).waitFor();
  await machine("agent", "h2", /syj_[0-9a-f]{64}/.exec(line)[0]);
  await page.getByText("h2 has joined").waitFor();
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  await row("h2").getByText("ready").waitFor();
});
await check("hosts tell capacity and use", async () => {
  await within(40, "h2 reports", async () => (await row("h2").locator("progress").count()) === 2);
  assert.match(await text(row("h2")), /GiB \/ [\d.]+ GiB/);
});
await check("a stack's containers, and where they run", async () => {
  await go("/stacks");
  await page.getByRole("link", { name: "site" }).click();
  assert.equal(await text(replicas("web")), "2 / 2");
  await page.getByText("running, healthy").first().waitFor();
  await page.getByText("done", { exact: true }).waitFor();
});
await check("scaled here, it has more; scaled elsewhere, the page tells without being asked", async () => {
  await page.getByRole("button", { name: "web: One more" }).click();
  await within(120, "3 / 3", async () => (await text(replicas("web"))) === "3 / 3");
  await within(20, "one on h2", async () => (await row("web-3").innerText()).includes("h2"));
  await stackyard("stack", "scale", "site", "web=2");
  await within(20, "2 / 2", async () => (await text(replicas("web"))) === "2 / 2");
});
