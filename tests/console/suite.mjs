// What a user does in the console, in a real browser; see tests/console/run.
import assert from "node:assert/strict";
import { admin, url } from "./browser.mjs";
import { afterFailure, ended } from "./checks.mjs";
import { chromium, page } from "./suite/page.mjs";

// What is open would be in the way of all that follows.
afterFailure(() => page.goto(`${url}/`));
// Each goes on where the one before has left the page and the yards.
for (const part of ["sign-in", "yards", "hosts", "topology", "network", "stacks", "cloud", "access", "every-page", "replace-hosts", "teardown"]) {
  await import(`./suite/${part}.mjs`);
}
assert.ok(admin);
await chromium.close();
ended();
