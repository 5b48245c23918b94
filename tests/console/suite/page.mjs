// The suite's page, and locators for its elements.
import { browser, context, open } from "../browser.mjs";

export const chromium = await browser();
export const here = await context(chromium);
export const page = await here.newPage();
export const go = (path) => open(page, path);
export const text = (locator) => locator.innerText();
export const row = (name) => page.locator("tbody tr", { hasText: name }).first();
export const replicas = (service) => page.getByLabel(`Containers of ${service}`);
export const steps = () => page.locator(".runsteps li");
export const drawn = (name) => page.getByRole("group", { name });
