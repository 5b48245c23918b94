// Writes every page at 1440 and 390 pixels, light and dark, into the directory of the second argument.
import { mkdir, writeFile } from "node:fs/promises";
import { admin, browser, context, machine, paths, ready, signIn, sleep, stackyard, url, work, write, yard } from "./browser.mjs";

const dir = process.argv[3] ?? "target/screenshots";
await mkdir(dir, { recursive: true });
// Join the second host as well.
const line = await stackyard("host", "join", "--yard", "shop", "--pool", "web", "--name", "h2");
await machine("agent", "h2", /syj_[0-9a-f]{64}/.exec(line)[0]);
await stackyard("stack", "scale", "site", "web=3");
await stackyard("token", "create", "ci", "--role", "operator", "--days", "90");
for (const servers of [2, 3]) {
  await writeFile(`${work}/depot.yaml`, yard(servers));
  await machine("begin", `${work}/depot.yaml`);
}
const chromium = await browser();
let written = 0;
for (const [width, height] of [[1440, 900], [390, 844]]) {
  for (const colorScheme of ["light", "dark"]) {
    const here = await context(chromium, { viewport: { width, height }, colorScheme });
    const page = await here.newPage();
    const shoot = async (name) => {
      await sleep(700);
      await page.screenshot({ path: `${dir}/${name}-${width}-${colorScheme}.png`, animations: "disabled" });
      written += 1;
    };
    await page.goto(url);
    await page.locator("form").waitFor();
    await shoot("sign-in");
    await signIn(page, admin);
    for (const [name, path] of Object.entries(await paths())) {
      await page.goto(url + path);
      await ready(page, name);
      await shoot(name);
    }
    await page.goto(`${url}/yards/depot/edit`);
    await write(page, yard(1, "  floatingIPs:\n    - {server: web}\n  netwoks: []\n"));
    await page.getByText("1 error").first().waitFor();
    await shoot("mistake");
    await write(page, yard(1, "  securityGroups:\n    - {name: web, rules: [{proto: tcp, port: 80}]}\n"));
    await page.getByText("no errors").waitFor();
    await page.getByRole("button", { name: "Plan", exact: true }).click();
    await page.getByRole("button", { name: /^Apply/ }).waitFor();
    await shoot("plan");
    await page.goto(`${url}/yards/shop/picture`);
    await page.locator(".react-flow__node-box").first().click({ position: { x: 15, y: 8 } });
    await shoot("topology-details");
    await page.getByText("List", { exact: true }).click();
    await shoot("topology-list");
    await page.goto(`${url}/hosts`);
    await page.getByRole("button", { name: "Join a host" }).click();
    await page.getByRole("combobox", { name: "Yard" }).fill("shop");
    await page.getByRole("button", { name: "Create the command" }).click();
    await shoot("join");
    await page.goto(`${url}/stacks/shop/site`);
    await page.getByRole("button", { name: "Update", exact: true }).click();
    await page.locator("[role=dialog]").getByLabel("Service", { exact: true }).selectOption("web");
    await page.locator("[role=dialog]").getByLabel("Image", { exact: true }).fill("stackyard-console/app:1");
    await page.locator("[role=dialog]").getByRole("button", { name: "Plan", exact: true }).click();
    await page.getByRole("button", { name: "Update now" }).waitFor();
    await shoot("update");
    await page.goto(`${url}/stacks/shop/site`);
    await page.getByRole("button", { name: /^Terminal in web/ }).first().click();
    await page.locator(".xterm-rows").waitFor();
    await page.keyboard.type("cat /www/index.html\n");
    await shoot("terminal");
    await here.close();
  }
}
await chromium.close();
console.log(`${written} pictures in ${dir}`);
