// The browser of the console's suite: Debian's Chromium, with checks that apply to every page.
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// Playwright is one of the console's packages.
export const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export const url = process.env.CONSOLE_URL;
export const admin = process.env.CONSOLE_ADMIN;
export const work = process.env.CONSOLE_WORK;
const run = promisify(execFile);

/** Runs a `stackyard` command on the server's machine. */
export const stackyard = async (...words) => (await run(process.env.STACKYARD, words)).stdout.trim();
/** Runs a verb of tests/console/run. */
export const machine = (...words) => run(fileURLToPath(new URL("run", import.meta.url)), words);
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function browser() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** Violations on any page: of its policy, errors, and requests to other servers. */
export const complaints = [];

export async function context(browser, options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    locale: "en-GB",
    viewport: { width: 1440, height: 900 },
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
  });
  context.on("request", (request) => {
    const own = /^(https|wss):\/\//.test(request.url()) ? new URL(request.url()).host === new URL(url).host : /^(data:|blob:https:)/.test(request.url());
    if (!own) complaints.push(`asks ${request.url()}`);
  });
  context.on("weberror", (error) => complaints.push(`fails: ${error.error()}`));
  context.on("console", (message) => {
    const expected = /Failed to load resource|WebSocket connection|ERR_/.test(message.text());
    if (message.type() === "error" && !expected) complaints.push(`says: ${message.text()}`);
  });
  return context;
}

export async function signIn(page, token = admin) {
  await page.goto(url);
  await page.getByText("Token", { exact: true }).first().click();
  await page.locator("input[type=password]").fill(token);
  await page.locator("form button[type=submit]").click();
  await page.locator("nav").waitFor();
}

/** A manifest with a number of servers, on the fake cloud. */
export const yard = (servers, more = "") => `apiVersion: stackyard.dev/v1
kind: Yard
metadata: {name: depot}
spec:
  cloud: fake
  networks:
    - {name: front, cidr: 10.20.0.0/24, router: {external: public}}
  servers:
    - {name: web, count: ${servers}, flavor: m1.nano, image: tiny, network: front}
${more}`;

/** Replaces the editor's text by pasting another. */
export async function write(page, text) {
  await page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Control+V");
}

/** Reads an API path over the server's socket. */
export const api = async (path) =>
  JSON.parse((await run("curl", ["-sS", "--unix-socket", `${process.env.STACKYARD_HOME}/server/socket`, `http://server${path}`])).stdout);

/** Starts a plan for this machine's cloud that preflight refuses. Returns the run's id. */
export async function refusedPlan() {
  const wish = JSON.stringify({ kind: "plan", set: { neutron_interface: "nosuch0" } });
  const socket = ["-sS", "--unix-socket", `${process.env.STACKYARD_HOME}/server/socket`];
  const { stdout } = await run("curl", [...socket, "-H", "content-type: application/json", "-d", wish, "http://server/api/v1/local/runs"]);
  const { id } = JSON.parse(stdout);
  await run("curl", [...socket, "-m", "60", `http://server/api/v1/local/runs/${id}/events`]);
  return id;
}

/** Waits until a page shows its content. The topology needs a layout first. */
export async function ready(page, name) {
  await page.locator("h1").first().waitFor();
  if (name.startsWith("cloud")) await page.locator("table, .empty, form").first().waitFor();
  if (name === "topology") await page.locator(".react-flow__node").first().waitFor();
  const shows = { "yard-form": ".draft fieldset", ports: ".ports tbody tr", mtu: ".paths > li", reach: ".matrix, .reach-list", rules: ".rules > li" }[name];
  if (shows) await page.locator(shows).first().waitFor();
}

/** Goes to a page and waits for it. */
export async function open(page, path) {
  await page.goto(url + path);
  await ready(page, path.endsWith("/picture") ? "topology" : path.endsWith("/network") ? "ports" : "");
}

/** Paths of all pages, with ids of existing objects. */
export async function paths() {
  const hosts = JSON.parse(await stackyard("--json", "host", "list"));
  const host = hosts.find((h) => h.name === "h1");
  const [done] = await api("/api/v1/yards/depot/runs?limit=1");
  const [planned] = await api("/api/v1/local/runs?limit=1");
  return {
    overview: "/",
    yards: "/yards",
    "yard-form": "/yards/new",
    yard: "/yards/depot",
    history: "/yards/depot?view=history",
    manifest: "/yards/depot/edit",
    run: `/yards/depot/runs/${done.id}`,
    hosts: "/hosts",
    host: `/hosts/${host.id}`,
    stacks: "/stacks",
    stack: "/stacks/shop/site",
    logs: "/stacks/shop/site?logs=",
    events: "/stacks/shop/site?events=",
    topology: "/yards/shop/picture",
    cloud: "/cloud",
    "cloud-preflight": "/cloud?view=preflight",
    "cloud-answers": "/cloud/change",
    "cloud-run": `/cloud/runs/${planned?.id ?? (await refusedPlan())}`,
    ports: "/yards/shop/network",
    mtu: "/yards/shop/network?view=path",
    reach: "/yards/shop/network?view=reach",
    rules: "/yards/shop/network?view=rules",
    access: "/access",
  };
}
