// Signing in, and the overview.
import assert from "node:assert/strict";
import { signIn, url } from "../browser.mjs";
import { check } from "../checks.mjs";
import { here, page, text } from "./page.mjs";

await check("a bad token is refused with the server's words", async () => {
  await page.goto(url);
  await page.getByText("Token", { exact: true }).first().click();
  await page.getByPlaceholder("sya_").fill(`sya_${"0".repeat(64)}`);
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await text(page.getByRole("alert")), /was it revoked/);
});
await check("signing in: no script can read the token or the session", async () => {
  await signIn(page);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /sy[as]_/);
  const [cookie] = await here.cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ["__Host-stackyard", true, true, "Strict"]);
});
await check("assets are compressed and cached, the page is not", async () => {
  const answers = [];
  page.on("response", (r) => answers.push(r));
  await page.reload();
  await page.locator("nav").waitFor();
  page.removeAllListeners("response");
  const assets = answers.filter((r) => r.url().includes("/assets/"));
  assert.ok(assets.length >= 2);
  for (const asset of assets) {
    const headers = await asset.allHeaders();
    assert.match(headers["cache-control"], /immutable/);
    assert.equal(headers["content-encoding"], "br", asset.url());
  }
  const html = await answers.find((r) => r.url() === `${url}/`).allHeaders();
  assert.equal(html["cache-control"], "no-store");
  assert.doesNotMatch(html["content-security-policy"], /unsafe/);
});
await check("the overview has the yard with its host and stack", async () => {
  const yard = page.getByLabel("shop", { exact: true });
  await yard.getByRole("link", { name: "site" }).waitFor();
  assert.match(await text(yard), /4 of 4 ready/);
  await yard.getByRole("link", { name: "h1" }).waitFor();
  await page.getByText("All hosts and stacks are healthy.").waitFor();
});
