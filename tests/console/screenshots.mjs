// Writes every page at 1440 and 390 pixels, light and dark, into the directory that is its second argument.
import { mkdir } from "node:fs/promises";
import { admin, browser, context, machine, paths, signIn, sleep, stackyard, url } from "./browser.mjs";

const dir = process.argv[3] ?? "target/screenshots";
await mkdir(dir, { recursive: true });
// The second host, too.
const line = await stackyard("host", "join", "--yard", "shop", "--pool", "web", "--name", "h2");
await machine("agent", "h2", /syj_[0-9a-f]{64}/.exec(line)[0]);
await stackyard("stack", "scale", "site", "web=3");
await stackyard("token", "create", "ci", "--role", "operator", "--days", "90");
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
      await page.locator("h1").waitFor();
      await shoot(name);
    }
    await page.goto(`${url}/hosts`);
    await page.getByRole("button", { name: "Join a host" }).click();
    await page.getByRole("button", { name: "Make the command" }).click();
    await shoot("join");
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
