// Stacks: events, logs, terminals, updates; hosts and servers that stop.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { machine, stackyard, work } from "../browser.mjs";
import { check, findings, within } from "../checks.mjs";
import { go, page, replicas, row, text } from "./page.mjs";

await check("what happened to a stack's containers, also on its host's page", async () => {
  await go("/stacks/shop/site");
  await page.getByRole("button", { name: "Events" }).click();
  await page.locator("tbody tr", { hasText: "started" }).first().waitFor();
  await page.getByText("stackyard stack events --yard shop site -f", { exact: true }).waitFor();
  const before = await page.locator("tbody tr", { hasText: "removed" }).count();
  await stackyard("stack", "scale", "site", "web=3");
  await stackyard("stack", "scale", "site", "web=2");
  await within(30, "a container that went is told", async () => (await page.locator("tbody tr", { hasText: "removed" }).count()) > before);
  await page.getByRole("combobox", { name: "Event" }).selectOption("removed");
  await page.getByText("stackyard stack events --yard shop site --kind removed -f", { exact: true }).waitFor();
  await page.locator("tbody tr", { hasText: "removed" }).first().waitFor();
  assert.equal(await page.locator("tbody tr", { hasText: "started" }).count(), 0);
  await page.getByRole("combobox", { name: "Containers" }).click();
  await page.getByRole("option", { name: "db", exact: true }).click();
  await page.getByText("No such events since the server started.").waitFor();
  await page.getByText("stackyard stack events --yard shop site db --kind removed -f", { exact: true }).waitFor();
  assert.deepEqual(await findings(page), []);
  const told = (await stackyard("--json", "stack", "events", "site", "web", "--kind", "removed")).split("\n").map((line) => JSON.parse(line));
  assert.ok(told.every((event) => event.kind === "removed" && event.service === "web" && event.yard === "shop"), JSON.stringify(told));
  await go("/hosts");
  await page.getByRole("link", { name: "h1", exact: true }).first().click();
  const events = page.locator(".panel", { has: page.getByRole("heading", { name: "Events" }) });
  await events.locator("tbody tr", { hasText: "started" }).first().waitFor();
  await page.getByText("stackyard host events shop/h1 -f", { exact: true }).waitFor();
  assert.deepEqual(await findings(page), []);
});
await check("logs of all containers: followed, and searched", async () => {
  await go("/stacks/shop/site");
  await page.getByRole("button", { name: "Logs", exact: true }).click();
  const log = page.getByRole("log");
  await log.getByText("migrated 12 tables").waitFor();
  await log.getByText("ready for connections").waitFor();
  await stackyard("stack", "exec", "-T", "site", "web", "sh", "-c", "echo a line that comes later >/proc/1/fd/1");
  await log.getByText("a line that comes later").waitFor();
  await page.getByLabel("Search the lines").fill("MIGRATED");
  await page.getByText(/1 of \d+ lines/).waitFor();
  assert.equal(await log.locator("mark").count(), 1);
  await page.getByLabel("Search the lines").fill("");
  await page.getByRole("combobox", { name: "Containers" }).click();
  await page.getByRole("option", { name: "db", exact: true }).click();
  await log.getByText("ready for connections").waitFor();
  assert.equal(await log.getByText("migrated 12 tables").count(), 0);
});
await check("a terminal in a container", async () => {
  await go("/stacks/shop/site");
  await page.getByRole("button", { name: /^Terminal in web-1/ }).click();
  const screen = page.locator(".xterm-rows");
  await screen.waitFor();
  await page.keyboard.type("cat /www/index.html; stty size\n");
  await screen.getByText("version 2").waitFor();
  let size;
  await within(20, "the size of the terminal", async () => {
    size = /(\d+) (\d+)/.exec((await screen.innerText()).split("version 2").at(-1));
    return size;
  });
  assert.ok(Number(size[2]) > 80, `the program was told the size: ${size[0]}`);
  await page.keyboard.type("exit 3\n");
  await page.getByText("exited with status 3").waitFor();
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Close", exact: true }).click();
});
await check("an update is rolled back after a question", async () => {
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.locator("[role=dialog]").getByRole("button", { name: "Roll back", exact: true }).click();
  await within(90, "the version before", async () => (await row("web").innerText()).includes("app:1") && (await text(replicas("web"))) === "2 / 2");
});
const dialog = page.locator("[role=dialog]");
const update = async (image) => {
  await page.getByRole("button", { name: "Update", exact: true }).click();
  await dialog.getByLabel("Service", { exact: true }).selectOption("web");
  await dialog.getByLabel("Image", { exact: true }).fill(image);
};
await check("a service is updated: planned, and followed until all of its containers are new", async () => {
  await update("stackyard-console/app:2");
  await dialog.getByRole("button", { name: "Add a variable" }).click();
  await dialog.getByLabel("Name of variable 1").fill("COLOUR");
  await dialog.getByLabel("Value of COLOUR").fill("deep blue");
  const line = await text(dialog.locator(".cli code"));
  assert.equal(line, "stackyard stack update --yard shop site web --image stackyard-console/app:2 --env 'COLOUR=deep blue' --plan");
  const ran = spawnSync("sh", ["-c", line.replace("stackyard", '"$STACKYARD"')]);
  assert.deepEqual([ran.status, ran.stdout.toString()], [3, "service web is changed: environment, image\n"], ran.stderr.toString());
  await dialog.getByRole("button", { name: "Plan", exact: true }).click();
  const plan = dialog.getByRole("list", { name: "Plan" });
  await plan.locator("li.change", { hasText: "stackyard-console/app:1 → stackyard-console/app:2" }).waitFor();
  await plan.locator("li.create", { hasText: "COLOUR deep blue" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Update now" }).click();
  await dialog.getByText("The whole stack is healthy").waitFor({ timeout: 90_000 });
  await dialog.getByText("2 of 2 containers are updated and ready").waitFor();
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
  assert.equal(await stackyard("stack", "exec", "-T", "site", "web", "sh", "-c", "echo $COLOUR; cat /www/index.html"), "deep blue\nversion 2");
});
await check("an update that fails tells why, and is rolled back", async () => {
  await update("stackyard-console/none:1");
  await dialog.getByRole("button", { name: "Plan", exact: true }).click();
  await dialog.getByRole("button", { name: "Update now" }).click();
  await dialog.getByRole("alert").getByText(/stackyard-console\/none/).first().waitFor({ timeout: 90_000 });
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
  await stackyard("stack", "rollback", "site");
  await within(20, "the version before", async () => (await row("web").innerText()).includes("app:2") && (await text(replicas("web"))) === "2 / 2");
});
await check("a host is drained, and taken back", async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Actions on h1" }).click();
  await page.getByRole("menuitem", { name: "Drain" }).click();
  await page.locator("[role=dialog]").getByRole("button", { name: "Drain", exact: true }).click();
  await row("h1").getByText("draining").waitFor();
  await page.getByRole("link", { name: "h2" }).click();
  await within(60, "all on h2", async () => (await page.locator("tbody tr").count()) >= 3);
  await go("/hosts");
  await page.getByRole("button", { name: "Actions on h1" }).click();
  await page.getByRole("menuitem", { name: "End draining" }).click();
  await row("h1").getByText("ready").waitFor();
});
await check("a host whose agent dies is away, and comes back, on the page that is open", async () => {
  process.kill(Number(readFileSync(`${work}/h1/agent.pid`, "utf8")), "SIGKILL");
  await row("h1").getByText("unknown").waitFor();
  await machine("agent", "h1");
  await row("h1").getByText("ready").waitFor({ timeout: 60_000 });
});
await check("a server that is killed is told; when it is back, so is the page", async () => {
  process.kill(Number(readFileSync(`${work}/server.pid`, "utf8")), "SIGKILL");
  try {
    await page.getByText("Not connected").waitFor();
  } finally {
    await machine("server");
  }
  await page.getByText("Not connected").waitFor({ state: "detached", timeout: 60_000 });
  await row("h2").getByText("ready").waitFor({ timeout: 60_000 });
});
