// Measures the topology of a yard with thousands of containers; see bench/run. Prints JSON.
import { admin, browser, context, signIn, sleep, url } from "./browser.mjs";

const yard = process.env.CONSOLE_YARD;
const chromium = await browser();

/** Time until a page is usable with an empty cache, in milliseconds: the median of five browsers. */
async function opened(path, what, options = {}) {
  const times = [];
  for (let n = 0; n < 5; n++) {
    const fresh = await context(chromium, options);
    const page = await fresh.newPage();
    const begun = Date.now();
    await page.goto(url + path);
    await page.locator(what).first().waitFor();
    times.push(Date.now() - begun);
    await fresh.close();
  }
  return times.sort((a, b) => a - b)[2];
}
const first_ms = await opened("/", "form button[type=submit]");
const here = await context(chromium);
const page = await here.newPage();
await signIn(page, admin);
const storageState = await here.storageState();
const overview_ms = await opened("/", ".panel.yard", { storageState });
const hosts_ms = await opened("/hosts", "table.rows tbody tr", { storageState });

const graph = await page.evaluate(async (path) => {
  const times = [];
  let bytes = 0;
  for (let n = 0; n < 9; n++) {
    const begun = performance.now();
    bytes = (await (await fetch(path)).arrayBuffer()).byteLength;
    times.push(performance.now() - begun);
  }
  return { bytes, ms: times.sort((a, b) => a - b)[4] };
}, `/api/v1/yards/${yard}/graph`);

let begun = Date.now();
await page.goto(`${url}/yards/${yard}/picture`);
await page.locator(".react-flow__node-box").first().waitFor();
const page_ms = Date.now() - begun;
await sleep(1000);
begun = Date.now();
await page.getByText("Each", { exact: true }).click();
await page.locator(".canvas.far").waitFor();
const each_ms = Date.now() - begun;
await sleep(2000);

/** Frame rate while the mouse pans the topology for five seconds. */
async function pan() {
  await page.evaluate(() => {
    window.frames_ = [];
    const next = (at) => {
      window.frames_.push(at);
      window.request_ = requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  const box = await page.locator(".canvas").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  const end = Date.now() + 5000;
  for (let n = 0; Date.now() < end; n++) {
    await page.mouse.move(x + Math.sin(n / 12) * 350, y + Math.cos(n / 17) * 150);
    await sleep(6);
  }
  await page.mouse.up();
  const at = await page.evaluate(() => {
    cancelAnimationFrame(window.request_);
    return window.frames_;
  });
  const took = at.slice(1).map((t, i) => t - at[i]).sort((a, b) => a - b);
  const nodes = await page.locator(".react-flow__node").count();
  return { fps: (1000 * took.length) / (at.at(-1) - at[0]), p95: took[Math.floor(took.length * 0.95)], max: took.at(-1), nodes };
}

const all = await pan();
for (let n = 0; n < 12 && (await page.locator(".canvas.far").count()) > 0; n++) {
  await page.getByRole("button", { name: "Zoom in" }).click();
  await sleep(350);
}
await sleep(1000);
const near = await pan();
await chromium.close();
console.log(JSON.stringify({ first_ms, overview_ms, hosts_ms, bytes: graph.bytes, graph_ms: graph.ms, page_ms, each_ms, all, near }));
