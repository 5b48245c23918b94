// Tokens, roles, Keystone, the audit log.
import assert from "node:assert/strict";
import { context, signIn, url } from "../browser.mjs";
import { check, findings } from "../checks.mjs";
import { chromium, go, page, row, text } from "./page.mjs";

let viewer = "";
await check("a token is made, and shown once", async () => {
  await go("/access");
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("Name", { exact: true }).fill("guest");
  await page.getByRole("button", { name: "Create the token" }).click();
  viewer = await text(page.locator("[role=dialog] .wrap code"));
  assert.match(viewer, /^sya_[0-9a-f]{64}$/);
  await page.getByRole("button", { name: "Close", exact: true }).last().click();
  await row("guest").getByText("viewer").waitFor();
  assert.doesNotMatch(await page.content(), /sya_[0-9a-f]/);
});
await check("a viewer sees, and is not offered what is not theirs", async () => {
  const there = await context(chromium);
  const other = await there.newPage();
  await signIn(other, viewer);
  await other.goto(`${url}/hosts`);
  await other.getByRole("link", { name: "h1" }).waitFor();
  assert.equal(await other.getByRole("button", { name: "Join a host" }).count(), 0);
  assert.equal(await other.getByRole("button", { name: /^Actions on/ }).count(), 0);
  await other.goto(`${url}/yards/depot`);
  await other.locator(".head").getByText("as declared").waitFor();
  assert.equal(await other.getByRole("link", { name: "Edit" }).count() + await other.getByRole("button", { name: "Remove" }).count(), 0);
  await other.goto(`${url}/stacks/shop/site`);
  await other.getByText("running, healthy").first().waitFor();
  assert.equal(await other.getByRole("button", { name: /One more|Update|Roll back|Terminal/ }).count(), 0);
  await other.goto(`${url}/access`);
  await other.getByText("you are signed in as viewer").waitFor();
  const refused = await other.evaluate(async () => (await fetch("/api/v1/tokens")).status);
  assert.equal(refused, 403);

  await page.getByRole("button", { name: "Revoke guest" }).click();
  await page.locator("[role=dialog]").getByRole("button", { name: "Revoke", exact: true }).click();
  await other.locator("form").getByLabel(/^(Token|Password)$/).waitFor({ timeout: 30_000 });
  await there.close();
});
/** Fills the form in and signs in. */
async function fill(page, way, fields) {
  await page.goto(url);
  await page.getByText(way, { exact: true }).first().click();
  for (const [label, value] of Object.entries(fields)) await page.locator("form").getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: "Sign in" }).click();
}
await check("Keystone refuses who gives a wrong password, and the form is accessible", async () => {
  const there = await context(chromium);
  const other = await there.newPage();
  await fill(other, "Password", { User: "olga", Password: "wrong", Project: "p" });
  assert.match(await text(other.getByRole("alert")), /Keystone of cloud fake does not let user "olga" in/);
  assert.deepEqual(await findings(other), []);
  await other.getByText("App credential", { exact: true }).click();
  assert.deepEqual(await findings(other), []);
  await there.close();
});
await check("a member of the cloud's project signs in with Keystone, and steers its yards", async () => {
  const there = await context(chromium);
  const other = await there.newPage();
  await fill(other, "Password", { User: "olga", Password: "olga-password", Project: "p" });
  await other.locator("nav").waitFor();
  const kept = await other.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /olga-password|sys_/);
  await other.getByRole("button", { name: /^Account and appearance/ }).click();
  await other.getByText("Project p on fake").waitFor();
  await other.getByText("Signed in as olga@Default (operator)").waitFor();
  await other.goto(`${url}/yards`);
  await other.getByRole("link", { name: "New yard" }).waitFor();
  await other.goto(`${url}/hosts`);
  await other.getByRole("link", { name: "h1" }).waitFor();
  await other.getByRole("button", { name: "Join a host" }).waitFor();
  await other.goto(`${url}/access`);
  await other.getByText("you are signed in as operator").waitFor();
  await there.close();
  await go("/access");
  await page.getByText("user olga@Default of fake/p").first().waitFor();
});
await check("a reader signs in with an application credential, and is offered nothing that changes", async () => {
  const there = await context(chromium);
  const other = await there.newPage();
  await fill(other, "App credential", { "Application credential (ID or name)": "credential-1", Secret: "vera-secret" });
  await other.locator("nav").waitFor();
  await other.goto(`${url}/yards`);
  await other.getByRole("link", { name: "depot" }).first().waitFor();
  assert.equal(await other.getByRole("link", { name: "New yard" }).count(), 0);
  await other.goto(`${url}/hosts`);
  await other.getByRole("link", { name: "h1" }).waitFor();
  assert.equal(await other.getByRole("button", { name: "Join a host" }).count(), 0);
  await other.goto(`${url}/stacks/shop/site`);
  await other.getByText("running, healthy").first().waitFor();
  assert.equal(await other.getByRole("button", { name: /One more|Roll back|Terminal/ }).count(), 0);
  await there.close();
});
await check("the audit log shows who did what", async () => {
  await go("/access");
  await row("/api/v1/tokens").getByText("token console").waitFor();
  await page.getByText("POST /api/v1/session").first().waitFor();
});
