// Hosts that are removed, and hosts of pools that are replaced.
import { readFileSync, writeFileSync } from "node:fs";
import assert from "node:assert/strict";
import { api, machine, sleep, stackyard, work, yard } from "../browser.mjs";
import { check, findings, within } from "../checks.mjs";
import { go, page, row, steps } from "./page.mjs";

await check("a host is removed when its name was typed", async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Actions on h2" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  const dialog = page.locator("[role=dialog]");
  assert.ok(await dialog.getByRole("button", { name: "Remove", exact: true }).isDisabled());
  await dialog.getByRole("textbox").fill("h2");
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("link", { name: "h2" }).waitFor({ state: "detached" });
});
const crew = async () => (await api("/api/v1/hosts?yard=crew"))[0];
const crewServer = async () => (await api("/api/v1/yards/crew/status")).resources?.find((one) => one.kind === "server")?.id;
/** Waits until the yard crew has a server that replaces `old`. It boots and becomes the host crew-1. */
async function boots(old) {
  await within(40, "another server", async () => ![undefined, null, old].includes(await crewServer()));
  // The server identifies an agent that does not know its server by the name that joined last.
  await sleep(1100);
  const replaces = (await crew()) ? ["--replaces", "crew/crew-1"] : [];
  const line = await stackyard("host", "join", "--yard", "crew", "--pool", "crew", "--name", "crew-1", ...replaces);
  await machine("agent", "h2", /syj_[0-9a-f]{64}/.exec(line)[0]);
}
/** Kills the agent of a deleted server: the fake cloud does not stop the machine behind it. */
const dies = () => process.kill(Number(readFileSync(`${work}/h2/agent.pid`, "utf8")), "SIGKILL");
const replacing = async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Actions on crew-1" }).click();
  await page.getByRole("menuitem", { name: "Replace" }).click();
};
await check("a host of a pool is marked to be replaced, with its plan; the mark is taken back", async () => {
  const text = yard(1).replace("depot", "crew").replace("10.20.", "10.40.");
  writeFileSync(`${work}/crew.yaml`, text.replace(/  servers:\n.*\n/, "  hosts:\n    - {pool: crew, flavor: m1.host, image: tiny}\n"));
  const up = stackyard("up", "-f", `${work}/crew.yaml`, "--yes");
  await Promise.all([up, boots()]);
  await replacing();
  const dialog = page.locator("[role=dialog]");
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Mark and plan" }).click();
  await dialog.locator("li.replace", { hasText: "crew-1: asked for by token console at" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Keep the host" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal((await crew()).replace, undefined);
  // No run of its yard can recreate this host: the console shows the alternative.
  await page.getByRole("button", { name: "Actions on h1" }).click();
  await page.getByRole("menuitem", { name: "Replace" }).click();
  await dialog.getByRole("button", { name: "Mark and plan" }).click();
  await dialog.getByRole("alert").getByText(/of no pool in the manifest of yard shop.*drain the host, remove it, and join/).waitFor();
});
await check("a host that was marked on the command line is replaced from its plan", async () => {
  await go("/hosts");
  const [before, server] = [await crew(), await crewServer()];
  await stackyard("host", "replace", "crew/crew-1");
  await row("crew-1").getByText("marked for replacement").waitFor();
  await replacing();
  await page.locator("[role=dialog]").getByText("socket requested the replacement").waitFor();
  await page.locator("[role=dialog] li.replace", { hasText: "crew-1: asked for by socket" }).waitFor();
  dies();
  await page.getByRole("button", { name: "Apply with removals" }).click();
  await steps().first().waitFor();
  await boots(server);
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 40_000 });
  const after = await crew();
  assert.notEqual(after.id, before.id);
  assert.equal(after.replace, undefined);
});
await check("... and on the command line alone", async () => {
  const [before, server] = [await crew(), await crewServer()];
  const refused = await stackyard("host", "replace", "crew/crew-1", "--yes").catch((error) => error.stderr);
  assert.match(refused, /its manifest is not given\nhint: pass --file/);
  dies();
  const [said] = await Promise.all([stackyard("host", "replace", "crew/crew-1", "--yes", "-f", `${work}/crew.yaml`), boots(server)]);
  assert.match(said, /The yard `crew` is up/);
  assert.notEqual((await crew()).id, before.id);
  await stackyard("down", "-f", `${work}/crew.yaml`, "--yes");
  await stackyard("host", "remove", "crew/crew-1");
});
