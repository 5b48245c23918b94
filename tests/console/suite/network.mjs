// A yard's network: ports, MTU, reachability, rules.
import assert from "node:assert/strict";
import { api, machine } from "../browser.mjs";
import { check, findings } from "../checks.mjs";
import { go, page, row, text } from "./page.mjs";

await check("the network: every port with whose it is, filtered and searched", async () => {
  await go("/yards/shop");
  await page.getByRole("link", { name: "Network" }).click();
  await row("10.20.0.").waitFor();
  const kinds = async (name) => page.locator(".ports tbody tr", { has: page.getByRole("cell", { name, exact: true }) }).count();
  assert.equal(await kinds("host"), 1, "h1 has joined");
  assert.equal(await kinds("load balancer"), 1);
  assert.ok((await kinds("router")) >= 1 && (await kinds("server")) >= 2);
  await page.getByRole("link", { name: "h1" }).waitFor();
  await page.getByRole("combobox", { name: "Network" }).selectOption("back");
  await row("10.30.0.").waitFor();
  assert.equal(await page.locator(".ports tbody tr", { hasText: "10.20.0." }).count(), 0);
  assert.match(await text(page.locator(".cli")), /stackyard net ports -f yard\.yaml --network back/);
  await page.getByRole("combobox", { name: "Network" }).selectOption("All networks");
  await page.getByLabel("Filter", { exact: true }).fill("db 10.20");
  await page.getByText("1 port", { exact: true }).waitFor();
  await page.getByRole("link", { name: "db" }).click();
  await page.getByRole("region", { name: "server db" }).waitFor();
});
await check("the network is live: a port that comes is seen without being asked", async () => {
  await go("/yards/shop/network");
  await row("db").waitFor();
  await machine("yard", "later");
  await row("later").waitFor({ timeout: 40_000 });
});
await check("the MTU of each path: layer in layer, and where it breaks", async () => {
  await page.getByRole("button", { name: "MTU", exact: true }).click();
  const path = page.locator(".paths > li", { hasText: "Containers of h1" });
  await path.getByText("Network front").waitFor();
  await path.getByText("Host interface").waitFor();
  await page.getByLabel("Underlay MTU in bytes (optional)").fill("7");
  await page.getByText("68 to 65535 bytes").waitFor();
  await page.getByLabel("Underlay MTU in bytes (optional)").fill("1500");
  await page.getByText("Underlay", { exact: true }).first().waitFor();
  assert.match(await text(page.locator(".cli")), /stackyard net path -f yard\.yaml --underlay 1500/);
});
await check("who reaches whom, and by which rule", async () => {
  await page.getByRole("button", { name: "Reachability" }).click();
  await page.getByRole("button", { name: /^Anywhere → pool web: ?tcp 80$/ }).click();
  const why = page.getByRole("region", { name: "Anywhere → pool web" });
  assert.match(await text(why), /web: tcp 80 from anywhere/);
  await page.getByRole("button", { name: /^pool web → server db: ?tcp 5432$/ }).waitFor();
  await page.getByRole("button", { name: /^192\.0\.2\.0\/24 → pool web: ?tcp 22/ }).waitFor();
  assert.deepEqual(await findings(page), []);
  await why.getByRole("link", { name: "Change web" }).click();
  await page.getByRole("listitem", { name: "Rule 1" }).waitFor();
});
await check("rules: a mistake is shown at its field, and a change goes through a plan", async () => {
  const first = page.getByRole("listitem", { name: "Rule 1" });
  await first.getByLabel("Protocol").fill("icmp");
  await first.getByText("a port goes with tcp or udp, not with icmp").waitFor();
  assert.ok(await page.getByRole("button", { name: "Plan", exact: true }).isDisabled());
  await first.getByLabel("Protocol").fill("tcp");
  await first.getByLabel("Port or range").fill("8080");
  await page.getByRole("button", { name: "Remove rule 2" }).click();
  await page.getByRole("button", { name: "Add a rule" }).click();
  const added = page.getByRole("listitem", { name: "Rule 2" });
  await added.getByLabel("Port or range").fill("443");
  await added.getByLabel("Source: CIDR or group").fill("db");
  await page.locator(".difference ins", { hasText: "from: db" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  const plan = page.getByRole("list", { name: "Plan" });
  await plan.locator("li.create", { hasText: "web: tcp 8080 from anywhere" }).waitFor();
  await plan.locator("li.remove", { hasText: "web: tcp 22 from 192.0.2.0/24" }).waitFor();
  await page.getByRole("button", { name: /^Apply/ }).click();
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  const [{ revision }] = await api("/api/v1/yards/shop/manifests?limit=1");
  const { manifest } = await api(`/api/v1/yards/shop/manifests/${revision}`);
  assert.ok(manifest.includes("    # what the shop shows\n    - name: web\n      rules:\n        - {proto: tcp, port: 8080}   # to all\n        - {proto: tcp, port: 443, from: db}\n    - {name: db,"), manifest);
  await go("/yards/shop/network?view=reach");
  await page.getByRole("button", { name: /^Anywhere → pool web: ?tcp 8080$/ }).waitFor({ timeout: 40_000 });
});
