// What a user does in the console, in a real browser; see tests/console/run.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import assert from "node:assert/strict";
import { afterFailure, check, ended, findings, within } from "./checks.mjs";
import { admin, api, browser, complaints, context, machine, open, paths, ready, signIn, sleep, stackyard, url, work, write, yard } from "./browser.mjs";

const chromium = await browser();
const here = await context(chromium);
let page = await here.newPage();
// What is open would be in the way of all that follows.
afterFailure(() => page.goto(`${url}/`));
const go = (path) => open(page, path);
const text = (locator) => locator.innerText();
const row = (name) => page.locator("tbody tr", { hasText: name }).first();
const replicas = (service) => page.getByLabel(`Containers of ${service}`);

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
await check("assets are compressed and kept for ever, the page is not", async () => {
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
  assert.match(await text(yard), /4 of 4 work/);
  await yard.getByRole("link", { name: "h1" }).waitFor();
  await page.getByText("All hosts and stacks are as they should be.").waitFor();
});
const manifest = () => page.locator(".cm-content");
const steps = () => page.locator(".runsteps li");
await check("a manifest is written: keys are offered, mistakes are shown where they are", async () => {
  await go("/yards");
  await page.getByRole("link", { name: "New yard" }).click();
  await page.getByRole("button", { name: "Manifest", exact: true }).click();
  await write(page, yard(1, "  netwoks: []\n"));
  await page.getByText("1 mistake").first().waitFor();
  const place = page.locator(".mistakes button");
  assert.match(await text(page.locator(".mistakes li")), /netwoks.*networks/);
  assert.equal(await text(place), "10:3");
  await page.locator(".cm-lintRange-error").getByText("netwoks").waitFor();
  await place.click();
  await page.keyboard.press("Shift+End");
  await page.keyboard.type("floatingI");
  await page.locator(".cm-tooltip-autocomplete").getByText("floatingIPs").waitFor();
  await sleep(150);
  await page.keyboard.press("Enter");
  assert.match(await manifest().innerText(), /  floatingIPs: /);
  assert.deepEqual(await findings(page), []);
});
await check("a plan is looked at, applied, and followed to its end", async () => {
  await write(page, yard(1));
  await page.getByText("no mistakes").waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  const plan = page.getByRole("list", { name: "Plan" });
  await plan.getByText("web-1", { exact: true }).waitFor();
  assert.ok((await plan.locator("li.create").count()) >= 4);
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await steps().first().waitFor();
  assert.match(page.url(), /\/yards\/depot\/runs\//);
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  assert.equal(await page.locator('.runsteps li:not([data-state="done"])').count(), 0);
  await go("/yards/depot");
  await page.locator(".head").getByText("as declared").waitFor();
  await row("server").getByText("ACTIVE").waitFor();
});
await check("what else happens to a yard is seen on the page that is open", async () => {
  await go("/yards");
  await row("depot").getByText("as declared").waitFor();
  writeFileSync(`${work}/depot.yaml`, yard(2));
  const going = machine("begin", `${work}/depot.yaml`);
  await row("depot").getByText("Bringing up").waitFor();
  await going;
  await row("depot").getByText("as declared").waitFor();
});
await check("back to the first manifest, through a plan", async () => {
  await go("/yards/depot?view=history");
  await page.getByRole("link", { name: "Go back to this" }).last().click();
  await page.getByText("no mistakes").waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("list", { name: "Plan" }).locator("li.remove").first().waitFor();
  await page.getByRole("button", { name: "Apply, with what it removes" }).click();
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  assert.equal((await api("/api/v1/yards/depot/status")).resources.filter((r) => r.kind === "server").length, 1);
});
await check("a run is cancelled; the next one goes on from there", async () => {
  await go("/yards/depot/edit");
  await page.getByText("no mistakes").waitFor();
  await write(page, yard(4));
  await page.getByText("no mistakes").waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("button", { name: /^Apply/ }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await page.locator("[role=dialog]").getByRole("button", { name: "Cancel the run" }).click();
  await page.locator(".head").getByText("cancelled").waitFor();
  await page.getByText("token console cancelled it").waitFor();
  await machine("begin", `${work}/depot.yaml`);
  assert.equal((await api("/api/v1/yards/depot/status")).state, "ok");
});
await check("a yard from a form: what the cloud has is offered, a mistake is at its field", async () => {
  await go("/yards");
  await page.getByRole("link", { name: "New yard" }).click();
  const field = (label) => page.getByLabel(label, { exact: true });
  await field("Image").waitFor();
  assert.deepEqual(await field("Image").locator("option").allInnerTexts(), ["host-a", "host-b", "tiny"]);
  await field("Machines").selectOption("Servers");
  await field("Image").selectOption("tiny");
  await field("Flavor").selectOption("m1.nano");
  await field("How many").fill("2");
  await field("Name of the yard").fill("depot");
  await page.getByText("There is a yard of this name").waitFor();
  await field("Name of the yard").fill("Pond");
  await page.getByRole("button", { name: "Write the manifest" }).click();
  await page.getByText("`Pond` cannot name a yard").waitFor();
  assert.ok(await field("Name of the yard").evaluate((e) => e === document.activeElement));
  assert.deepEqual(await findings(page), []);
  await field("Name of the yard").fill("pond");
});
await check("what the form writes is in the editor, what the command line writes is the same, and it goes through a plan", async () => {
  const line = await text(page.locator(".cli code"));
  assert.match(line, /^stackyard init -f pond\.yaml --cloud fake --name pond --server first --count 2 --image tiny --flavor m1\.nano /);
  await page.getByRole("button", { name: "Write the manifest" }).click();
  await page.getByText("no mistakes").waitFor();
  assert.match(await manifest().innerText(), /image: "tiny" {3}# or host-a, host-b/);
  assert.ok(await manifest().evaluate((e) => e === document.activeElement));
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  const plan = page.getByRole("list", { name: "Plan" });
  await plan.getByText("first-2", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  const ran = spawnSync("sh", ["-c", line.replace("stackyard", '"$STACKYARD"')], { cwd: work });
  assert.equal(ran.status, 0, ran.stderr.toString());
  const [{ revision }] = await api("/api/v1/yards/pond/manifests?limit=1");
  assert.equal((await api(`/api/v1/yards/pond/manifests/${revision}`)).manifest, readFileSync(`${work}/pond.yaml`, "utf8"));
  assert.equal((await api("/api/v1/yards/pond/status")).state, "ok");
  await stackyard("down", "-f", `${work}/pond.yaml`, "--yes");
});
await check("a plan that cannot be carried out says why", async () => {
  await go("/yards/depot/edit");
  await page.getByText("no mistakes").waitFor();
  await write(page, yard(1).replace("tiny", "nothing"));
  await page.getByText("no mistakes").waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("alert").getByText("the cloud has no image `nothing`").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Apply/ }).count(), 0);
});
await check("a machine joins with the line of the dialog, which tells when it has", async () => {
  await go("/hosts");
  await page.getByRole("button", { name: "Join a host" }).click();
  await page.getByRole("combobox", { name: "Yard" }).fill("shop");
  await page.getByLabel("Name (optional)").fill("h2");
  await page.getByRole("button", { name: "Make the command" }).click();
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
const drawn = (name) => page.getByRole("group", { name });
// Of a box its head: the rest is what is in it.
const pick = (name) => drawn(name).click({ position: { x: 30, y: 12 } });
const canvas = page.locator(".canvas");
await check("the picture: networks, what is at the edge, hosts with their containers", async () => {
  await go("/");
  await page.getByRole("link", { name: "Picture of shop" }).click();
  for (const name of [/^network front, works, 10\.20\.0\.0\/24 · MTU 1442/, /^network public/, /^router front/, /^floating IP db/, /^load balancer web/, /^server db, works, 10\.[23]0\./, /^host h1, works/, /^host h2, works/, /^volume data/, /^stack site/]) await drawn(name).waitFor();
  const inside = async (chip, box) => {
    const [a, b] = [await drawn(chip).boundingBox(), await drawn(box).boundingBox()];
    return a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width + 1 && a.y + a.height <= b.y + b.height + 1;
  };
  assert.ok(await inside(/^container site\/db-1, works/, /^host h1/) || await inside(/^container site\/db-1, works/, /^host h2/));
  assert.ok(await inside(/^host h1/, /^network front/), "h1 is in its network");
  assert.ok(await inside(/^volume data/, /^server db/));
  assert.ok(!(await inside(/^host h2/, /^network front/)), "h2 is no server of the yard");
});
await check("the picture: details of what is clicked, and from there to its neighbours", async () => {
  await pick(/^server db/);
  const details = page.getByRole("region", { name: "server db" });
  assert.match(await text(details), /m1\.nano/);
  await details.getByRole("button", { name: "back" }).click();
  assert.match(await text(page.getByRole("region", { name: "network back" })), /10\.30\.0\.0\/24/);
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await pick(/^host h1/);
  await page.getByRole("region", { name: "host h1" }).getByRole("link", { name: /h1/ }).waitFor();
  await page.keyboard.press("Escape");
});
await check("the picture: the console log of a server", async () => {
  await pick(/^server db/);
  await page.getByRole("button", { name: "Console log" }).click();
  const dialog = page.locator("[role=dialog]");
  await dialog.getByText("stackyard: join: DONE").waitFor();
  await dialog.getByText("stackyard console -f yard.yaml db", { exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Close", exact: true }).click();
  await dialog.waitFor({ state: "hidden" });
  const told = await stackyard("--json", "console", "-f", `${process.env.CONSOLE_WORK}/yard.yaml`, "db");
  assert.equal(JSON.parse(told.split("\n").at(-1)).text, "stackyard: join: DONE");
  await page.getByRole("region", { name: "server db" }).getByRole("button", { name: "Close", exact: true }).click();
});
await check("the picture: filtered by text, kind and state", async () => {
  await page.getByLabel("Filter", { exact: true }).fill("db-1");
  await drawn(/^network public/).waitFor({ state: "detached" });
  await drawn(/^container site\/db-1/).waitFor();
  assert.equal(await drawn(/^container/).count(), 1);
  await page.getByLabel("Filter", { exact: true }).fill("");
  await page.getByRole("button", { name: /^container/ }).click();
  await drawn(/^container/).first().waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^container/ }).click();
  await drawn(/^container/).first().waitFor();
});
await check("the picture is live: what a stack and the cloud do is seen without being asked", async () => {
  await stackyard("stack", "scale", "site", "web=3");
  await drawn(/^container site\/web-3, works/).waitFor({ timeout: 60_000 });
  await page.getByText("site/web-3").first().waitFor();
  await stackyard("stack", "scale", "site", "web=2");
  await drawn(/^container site\/web-3/).waitFor({ state: "detached", timeout: 60_000 });
  await machine("yard", "late");
  await drawn(/^server late, works/).waitFor({ timeout: 40_000 });
});
await check("the picture by keyboard: arrows, Enter, Escape, and what a reader is told", async () => {
  await go("/yards/shop/picture");
  await page.getByLabel("Filter", { exact: true }).focus();
  for (let n = 0; n < 40 && !(await canvas.evaluate((e) => e === document.activeElement)); n++) await page.keyboard.press("Tab");
  assert.match(await canvas.getAttribute("aria-label"), /arrow keys/);
  const at = () => page.evaluate(() => document.getElementById(document.activeElement.getAttribute("aria-activedescendant"))?.getAttribute("aria-label") ?? "");
  const names = new Set();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowRight"]) {
    await page.keyboard.press(key);
    names.add(await at());
  }
  assert.ok(names.size >= 5 && !names.has(""), [...names].join("; "));
  await page.keyboard.press("Enter");
  await page.locator(".details").waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".details").waitFor({ state: "detached" });
});
await check("the picture as a file that needs nothing else", async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as SVG" }).click()]);
  assert.equal(download.suggestedFilename(), "shop.svg");
  const file = readFileSync(await download.path(), "utf8");
  for (const name of ["front", "public", "h1", "site/db-1", "data"]) assert.ok(file.includes(`>${name}<`), name);
  assert.doesNotMatch(file, /href|<script|<image/);
  // Without its style, which the page's policy would refuse here.
  const parsed = await page.evaluate((text) => new DOMParser().parseFromString(text, "image/svg+xml").querySelector("parsererror")?.textContent ?? "", file.replace(/<style>.*?<\/style>/, ""));
  assert.equal(parsed, "");
});
await check("the picture as a list: everything, in a table", async () => {
  await go("/yards/shop/picture");
  await page.getByText("List", { exact: true }).click();
  await row("10.20.0.0/24").waitFor();
  await page.getByRole("button", { name: "web-1", exact: true }).click();
  await page.getByRole("region", { name: "container web-1" }).waitFor();
  assert.deepEqual(await findings(page), []);
  assert.match(await text(page.locator(".cli")), /stackyard graph -f yard\.yaml --svg shop\.svg/);
});
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
  await path.getByText("The host's interface").waitFor();
  await page.getByLabel("Underlay, bytes (optional)").fill("7");
  await page.getByText("68 to 65535 bytes").waitFor();
  await page.getByLabel("Underlay, bytes (optional)").fill("1500");
  await page.getByText("Underlay", { exact: true }).first().waitFor();
  assert.match(await text(page.locator(".cli")), /stackyard net path -f yard\.yaml --underlay 1500/);
});
await check("who reaches whom, and by which rule", async () => {
  await page.getByRole("button", { name: "Who reaches whom" }).click();
  await page.getByRole("button", { name: /^Anywhere → pool web: ?tcp 80$/ }).click();
  const why = page.getByRole("region", { name: "Anywhere → pool web" });
  assert.match(await text(why), /web: tcp 80 from everybody/);
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
  await added.getByLabel("From: CIDR or group").fill("db");
  await page.locator(".difference ins", { hasText: "from: db" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  const plan = page.getByRole("list", { name: "Plan" });
  await plan.locator("li.create", { hasText: "web: tcp 8080 from everybody" }).waitFor();
  await plan.locator("li.remove", { hasText: "web: tcp 22 from 192.0.2.0/24" }).waitFor();
  await page.getByRole("button", { name: /^Apply/ }).click();
  await page.locator(".head").getByText("done", { exact: true }).waitFor({ timeout: 30_000 });
  const [{ revision }] = await api("/api/v1/yards/shop/manifests?limit=1");
  const { manifest } = await api(`/api/v1/yards/shop/manifests/${revision}`);
  assert.ok(manifest.includes("    # what the shop shows\n    - name: web\n      rules:\n        - {proto: tcp, port: 8080}   # to all\n        - {proto: tcp, port: 443, from: db}\n    - {name: db,"), manifest);
  await go("/yards/shop/network?view=reach");
  await page.getByRole("button", { name: /^Anywhere → pool web: ?tcp 8080$/ }).waitFor({ timeout: 40_000 });
});
await check("what happened to a stack's containers, also on its host's page", async () => {
  await go("/stacks/shop/site");
  await page.getByRole("button", { name: "Events" }).click();
  await page.locator("tbody tr", { hasText: "started" }).first().waitFor();
  await page.getByText("stackyard stack events --yard shop site -f", { exact: true }).waitFor();
  const before = await page.locator("tbody tr", { hasText: "removed" }).count();
  await stackyard("stack", "scale", "site", "web=3");
  await stackyard("stack", "scale", "site", "web=2");
  await within(30, "a container that went is told", async () => (await page.locator("tbody tr", { hasText: "removed" }).count()) > before);
  await page.getByRole("combobox", { name: "What happened" }).selectOption("removed");
  await page.getByText("stackyard stack events --yard shop site --what removed -f", { exact: true }).waitFor();
  await page.locator("tbody tr", { hasText: "removed" }).first().waitFor();
  assert.equal(await page.locator("tbody tr", { hasText: "started" }).count(), 0);
  await page.getByRole("combobox", { name: "Containers" }).click();
  await page.getByRole("option", { name: "db", exact: true }).click();
  await page.getByText("Nothing of this happened since the server was started.").waitFor();
  await page.getByText("stackyard stack events --yard shop site db --what removed -f", { exact: true }).waitFor();
  assert.deepEqual(await findings(page), []);
  const told = (await stackyard("--json", "stack", "events", "site", "web", "--what", "removed")).split("\n").map((line) => JSON.parse(line));
  assert.ok(told.every((event) => event.what === "removed" && event.service === "web" && event.yard === "shop"), JSON.stringify(told));
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
  const size = /(\d+) (\d+)/.exec((await screen.innerText()).split("version 2").at(-1));
  assert.ok(Number(size[2]) > 80, `the program was told the size: ${size?.[0]}`);
  await page.keyboard.type("exit 3\n");
  await page.getByText("ended with status 3").waitFor();
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
  await dialog.getByText("All of the stack works").waitFor({ timeout: 90_000 });
  await dialog.getByText("2 of 2 containers are new and work").waitFor();
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
  await row("h1").getByText("drained").waitFor();
  await page.getByRole("link", { name: "h2" }).click();
  await within(60, "all on h2", async () => (await page.locator("tbody tr").count()) >= 3);
  await go("/hosts");
  await page.getByRole("button", { name: "Actions on h1" }).click();
  await page.getByRole("menuitem", { name: "End draining" }).click();
  await row("h1").getByText("ready").waitFor();
});
await check("a host whose agent dies is away, and comes back, on the page that is open", async () => {
  process.kill(Number(readFileSync(`${work}/h1/agent.pid`, "utf8")), "SIGKILL");
  await row("h1").getByText("away").waitFor();
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
let viewer = "";
await check("the cloud of this machine: what preflight sees, with what to do", async () => {
  await go("/cloud");
  await page.getByRole("button", { name: "Preflight" }).click();
  await page.getByText(/\d+ passed, \d+ to know/).waitFor();
  await page.locator(".checks tbody tr", { hasText: "Docker" }).first().waitFor();
  await page.getByText("stackyard cloud preflight", { exact: true }).waitFor();
});
await check("the cloud of this machine: questions as a form, and a plan that preflight ends", async () => {
  await page.getByRole("link", { name: "Bring it up" }).click();
  await page.getByText(/more questions/).click();
  await page.getByLabel("Neutron interface").fill("nosuch0");
  await page.getByText("stackyard cloud up --set neutron_interface=nosuch0", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.locator(".head .state", { hasText: "failed" }).waitFor();
  assert.match(await text(page.locator(".checks tr", { hasText: "nosuch0" }).first()), /blocker/);
  // As it was, also for one who comes later.
  await page.reload();
  await page.locator(".checks tr", { hasText: "nosuch0" }).first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Carry it out" }).count(), 0);
});
await check("a token is made, and shown once", async () => {
  await go("/access");
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("Name", { exact: true }).fill("guest");
  await page.getByRole("button", { name: "Make the token" }).click();
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
  await fill(other, "App credential", { "Application credential (id, or name)": "credential-1", Secret: "vera-secret" });
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
await check("the audit log tells who did what", async () => {
  await go("/access");
  await row("/api/v1/tokens").getByText("token console").waitFor();
  await page.getByText("POST /api/v1/session").first().waitFor();
});
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
  await page.getByRole("button", { name: "Make the command" }).click();
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
/** The yard crew gets a server in the place of `old`; it boots, and becomes the host crew-1. */
async function boots(old) {
  await within(40, "another server", async () => ![undefined, null, old].includes(await crewServer()));
  // An agent that does not know its server is taken for the one of that name that has joined since.
  await sleep(1100);
  const replaces = (await crew()) ? ["--replaces", "crew/crew-1"] : [];
  const line = await stackyard("host", "join", "--yard", "crew", "--pool", "crew", "--name", "crew-1", ...replaces);
  await machine("agent", "h2", /syj_[0-9a-f]{64}/.exec(line)[0]);
}
/** Servers of the fake cloud are not the machines that play them: one that goes must be told. */
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
  await dialog.getByRole("button", { name: "Mark it, and plan" }).click();
  await dialog.locator("li.replace", { hasText: "crew-1: asked for by token console at" }).waitFor();
  assert.deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: "Keep the host" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal((await crew()).replace, undefined);
  // One that no run of its yard would make anew: what to do instead.
  await page.getByRole("button", { name: "Actions on h1" }).click();
  await page.getByRole("menuitem", { name: "Replace" }).click();
  await dialog.getByRole("button", { name: "Mark it, and plan" }).click();
  await dialog.getByRole("alert").getByText(/of no pool in the manifest of yard shop.*drain the host, remove it, and join/).waitFor();
});
await check("a host that was marked on the command line is replaced from its plan", async () => {
  await go("/hosts");
  const [before, server] = [await crew(), await crewServer()];
  await stackyard("host", "replace", "crew/crew-1");
  await row("crew-1").getByText("to be replaced").waitFor();
  await replacing();
  await page.locator("[role=dialog]").getByText("socket asked for another one in its place").waitFor();
  await page.locator("[role=dialog] li.replace", { hasText: "crew-1: asked for by socket" }).waitFor();
  dies();
  await page.getByRole("button", { name: "Apply, with what it removes" }).click();
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
  assert.match(refused, /needs its manifest; name it with `--file`/);
  dies();
  const [said] = await Promise.all([stackyard("host", "replace", "crew/crew-1", "--yes", "-f", `${work}/crew.yaml`), boots(server)]);
  assert.match(said, /The yard `crew` is up/);
  assert.notEqual((await crew()).id, before.id);
  await stackyard("down", "-f", `${work}/crew.yaml`, "--yes");
  await stackyard("host", "remove", "crew/crew-1");
});
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
  await page.getByText("Go back to this").first().waitFor();
});
await check("a cloud that does not answer is told; what it had stays", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await go("/yards/shop/picture");
  process.kill(Number(readFileSync(`${work}/cloud.pid`, "utf8")), "SIGKILL");
  await page.getByText("The cloud fake cannot be looked at; what is shown of it was seen").waitFor({ timeout: 90_000 });
  await drawn(/^network front, works/).waitFor();
  await drawn(/^volume data, works/).waitFor();
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
await check("no page broke its policy, failed, or asked anybody else", async () => {
  assert.deepEqual(complaints, []);
});
assert.ok(admin);
await chromium.close();
ended();
