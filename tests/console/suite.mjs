// A user's tasks in the console, in a real browser; see tests/console/run.
import assert from "node:assert/strict";
import { admin, url } from "./browser.mjs";
import { afterFailure, ended } from "./checks.mjs";
import { chromium, page } from "./suite/page.mjs";

// An open dialog would block all following checks.
afterFailure(() => page.goto(`${url}/`));
// Each part continues with the page and the yards of the previous one.
for (const part of ["sign-in", "yards", "hosts", "topology", "network", "stacks", "cloud", "access", "every-page", "replace-hosts", "teardown"]) {
  await import(`./suite/${part}.mjs`);
}
assert.ok(admin);
await chromium.close();
ended();
