// The cloud of this machine.
import assert from "node:assert/strict";
import { check } from "../checks.mjs";
import { go, page, text } from "./page.mjs";

await check("the cloud of this machine: what preflight sees, with what to do", async () => {
  await go("/cloud");
  await page.getByRole("button", { name: "Preflight" }).click();
  await page.getByText(/\d+ passed, \d+ notes/).waitFor();
  await page.locator(".checks tbody tr", { hasText: "Docker" }).first().waitFor();
  await page.getByText("stackyard cloud preflight", { exact: true }).waitFor();
});
await check("the cloud of this machine: questions as a form, and a plan that preflight ends", async () => {
  await page.getByRole("link", { name: "Bring up" }).click();
  await page.getByText(/more questions/).click();
  await page.getByLabel("Neutron interface").fill("nosuch0");
  await page.getByText("stackyard cloud up --set neutron_interface=nosuch0", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.locator(".head .state", { hasText: "failed" }).waitFor();
  assert.match(await text(page.locator(".checks tr", { hasText: "nosuch0" }).first()), /blocker/);
  // The result is still there after a reload.
  await page.reload();
  await page.locator(".checks tr", { hasText: "nosuch0" }).first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Apply" }).count(), 0);
});
