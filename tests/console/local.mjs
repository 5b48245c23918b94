// The console on the yard of `make quickstart`, on a real cloud; see tests/cloud/quickstart.
import assert from "node:assert/strict";
import { afterFailure, check, ended, findings, within } from "./checks.mjs";
import { browser, complaints, context, open, signIn, url } from "./browser.mjs";

const chromium = await browser();
const page = await (await context(chromium)).newPage();
afterFailure(() => page.goto(`${url}/`));
const go = (path) => open(page, path);
const drawn = (name) => page.getByRole("group", { name });

await check("the overview: the yard works", async () => {
  await signIn(page);
  const yard = page.getByLabel("quickstart", { exact: true });
  await yard.getByRole("link", { name: "web-1" }).waitFor();
  await yard.getByRole("link", { name: "web-2" }).waitFor();
  await yard.getByRole("link", { name: "site" }).waitFor();
  await page.getByText("All hosts and stacks are healthy.").waitFor();
});
await check("the yard: all is as declared, and what it uses of the quota", async () => {
  await go("/yards/quickstart");
  await page.locator(".head").getByText("as declared").waitFor();
  for (const name of ["web-1", "web-2", "db"]) {
    const server = page.locator("tbody tr", { hasText: "server" }).filter({ has: page.getByText(name, { exact: true }) });
    await server.getByText("ACTIVE").waitFor();
  }
  await page.getByText("Project quotas").waitFor();
});
await check("the topology: both hosts with their containers, the server, the router and the floating IP", async () => {
  await go("/yards/quickstart/picture");
  for (const name of [/^network front, ready/, /^router /, /^floating IP /, /^server db, ready/, /^host web-1, ready/, /^host web-2, ready/]) {
    await drawn(name).first().waitFor();
  }
  await page.getByText("Each", { exact: true }).click();
  await within(10, "a container of each service is drawn", async () =>
    (await Promise.all([/^container site\/visitor-/, /^container site\/web-/].map((name) => drawn(name).count()))).every((n) => n > 0));
  assert.deepEqual(await findings(page), []);
});
await check("the logs of all containers: the server was reached, and asked back", async () => {
  await go("/stacks/quickstart/site?logs=");
  await page.getByText(/asked back/).first().waitFor({ timeout: 30_000 });
});
await check("a plan of the manifest that is there: no change", async () => {
  await go("/yards/quickstart/edit");
  await page.locator(".cm-content").getByText("quickstart").first().waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText("Nothing to do").first().waitFor({ timeout: 30_000 });
});
await check("no page broke its policy, failed, or asked another server", async () => {
  assert.deepEqual(complaints, []);
});
await chromium.close();
ended();
