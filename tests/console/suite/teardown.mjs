// Removal of a yard, loss of a cloud, end of the session.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { api, complaints, url, work } from "../browser.mjs";
import { check, findings } from "../checks.mjs";
import { drawn, go, here, page } from "./page.mjs";

await check("a yard is removed when its plan was seen and its name typed", async () => {
  await go("/yards/depot");
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  const dialog = page.locator("[role=dialog]");
  await dialog.locator("li.remove").first().waitFor();
  assert.deepEqual(await findings(page), []);
  assert.ok(await dialog.getByRole("button", { name: "Remove", exact: true }).isDisabled());
  await dialog.getByRole("textbox").fill("depot");
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  assert.deepEqual((await api("/api/v1/yards")).map((y) => y.name), ["shop"]);
  await go("/yards/depot");
  await page.getByText("Revert to this").first().waitFor();
});
await check("a cloud that does not answer is told; what it had stays", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await go("/yards/shop/picture");
  process.kill(Number(readFileSync(`${work}/cloud.pid`, "utf8")), "SIGKILL");
  await page.getByText("Cannot read the cloud fake. Data from").waitFor({ timeout: 90_000 });
  await drawn(/^network front, ready/).waitFor();
  await drawn(/^volume data, ready/).waitFor();
  assert.deepEqual(await findings(page), []);
});
await check("signing out ends the session", async () => {
  const [cookie] = await here.cookies();
  await page.getByRole("button", { name: /^Account and appearance/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.locator("form").getByLabel(/^(Token|Password)$/).waitFor();
  const answer = spawnSync("curl", ["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-b", `${cookie.name}=${cookie.value}`, `${url}/api/v1/hosts`]);
  assert.equal(answer.stdout.toString(), "401");
});
await check("no page broke its policy, failed, or asked another server", async () => {
  assert.deepEqual(complaints, []);
});
