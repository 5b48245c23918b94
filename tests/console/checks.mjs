// Counted checks, and helpers for them.
import { readFileSync } from "node:fs";
import { require, sleep } from "./browser.mjs";

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
let passed = 0;
let failed = 0;
let recover = async () => undefined;

/** Sets the clean-up that runs after a failed check. */
export function afterFailure(run) {
  recover = run;
}

/** Runs a check and prints its result. */
export async function check(name, run) {
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(1)} s`;
  try {
    await run();
    passed += 1;
    console.log(`PASS ${name} (${seconds()})`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name} (${seconds()})\n     ${String(error.stack ?? error).split("\n").slice(0, 12).join("\n     ")}`);
    await recover().catch(() => undefined);
  }
}

/** Prints the counts and exits. */
export function ended() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

export async function within(seconds, what, condition) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    if (await condition()) return;
    await sleep(200);
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

/** Serious findings of axe on the current page. axe runs in an isolated world, outside the page's policy. */
export async function findings(page) {
  await sleep(400);
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await evaluate(axe);
  const all = await evaluate("axe.run().then((r) => r.violations.map((v) => ({ id: v.id, impact: v.impact, at: v.nodes.map((n) => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '')) })))");
  await session.detach();
  return all.filter((f) => f.impact === "serious" || f.impact === "critical").map((f) => `${f.id}: ${f.at.join("; ")}`);
}
