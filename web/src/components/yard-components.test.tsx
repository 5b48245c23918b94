import { CompletionContext } from "@codemirror/autocomplete";
import { EditorState, Text } from "@codemirror/state";
import { MantineProvider } from "@mantine/core";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import type { Plan } from "../api/client";
import type { ContainerEvent } from "../api/container-events";
import { EMPTY_RUN_FEED, upsertStep, type Run, type RunStep } from "../api/runs";
import { LanguageProvider, type Language } from "../i18n";
import { completionsAt, editorDiagnostic } from "./manifest-editor";
import { EventTable } from "./container-events";
import { PlanView } from "./plan-view";
import { PlanReview } from "./plan-review";
import { quotaAmount, Quotas } from "./quotas";
import { RunView } from "./run-view";

afterEach(cleanup);

function show(node: ReactNode, language: Language = "en") {
  return render(<MantineProvider env="test"><LanguageProvider initial={language}>{node}</LanguageProvider></MantineProvider>);
}

const SUMMARY = { create: 0, change: 0, replace: 0, remove: 0, wait: 0, keep: 0, lose_data: 0 };

function plan(more: Partial<Plan>): Plan {
  return { cloud: "lab", plan: { yard: "shop", steps: [] }, summary: SUMMARY, noop: false, blockers: [], warnings: [], digest: "d", ...more };
}

test("a plan says what is made, changed field by field, replaced and removed", () => {
  const steps: Plan["plan"]["steps"] = [
    { key: { kind: "server", name: "old" }, action: "remove", id: "1" },
    { key: { kind: "server", name: "db" }, action: "discard", id: "2" },
    { key: { kind: "server", name: "db" }, action: "recreate", id: "2", changes: [{ field: "flavor", from: "m1.tiny", to: "m1.big", replace: true }] },
    { key: { kind: "security_group", name: "web" }, action: "create" },
    { key: { kind: "port", name: "db/front" }, action: "change", changes: [{ field: "groups", from: [], to: ["web", "ssh"], replace: false }] },
    { key: { kind: "network", name: "front" }, action: "keep" },
  ];
  const stacks: Plan["plan"]["stacks"] = [{ name: "site", action: "change", services: [{ name: "web", action: "change", parts: ["image"] }] }];
  const { container } = show(<PlanView plan={plan({ plan: { yard: "shop", steps, stacks }, summary: { ...SUMMARY, create: 1, keep: 1 } })} />);
  const rows = [...container.querySelectorAll(".steps > li")].map((row) => row.textContent);
  expect(rows).toEqual([
    "−remove server old",
    "±replace server dbflavor m1.tiny → m1.big (requires replacement)",
    "+create security group web",
    "~change port db/frontgroups none → web, ssh",
    "~change stack site~service web: image",
  ]);
  expect(screen.getByRole("status").textContent).toBe("1 to create1 unchanged");
});

const LOSING: Plan = plan({
  plan: {
    yard: "shop",
    steps: [
      { key: { kind: "volume", name: "web-1/data" }, action: "remove", id: "1", loses_data: true },
      { key: { kind: "volume", name: "db" }, action: "discard", id: "2", loses_data: true },
      { key: { kind: "server", name: "web-1" }, action: "remove", id: "3" },
      { key: { kind: "volume", name: "db" }, action: "recreate", id: "2", loses_data: true },
    ],
  },
  summary: { ...SUMMARY, replace: 1, remove: 2, lose_data: 2 },
});

test("a plan marks what loses its data, and is applied only when the user agrees to that", async () => {
  const user = userEvent.setup();
  const apply = vi.fn();
  const planned = (of: Plan) => <MantineProvider env="test"><LanguageProvider initial="en"><PlanReview plan={of} apply={apply} busy={false} error={null} yard="shop" again={vi.fn()} /></LanguageProvider></MantineProvider>;
  const { container, rerender } = render(planned(LOSING));
  const rows = [...container.querySelectorAll(".steps > li")].map((row) => row.textContent);
  expect(rows.map((row) => row.endsWith("data will be lost"))).toEqual([true, false, true]);
  expect(screen.getByRole("status").textContent).toContain("data lost: 2");
  const button = screen.getByRole<HTMLButtonElement>("button", { name: "Apply with removals" });
  expect(button.disabled).toBe(true);
  await user.click(screen.getByLabelText("Lose the data of volume web-1/data, volume db"));
  await user.click(button);
  expect(apply).toHaveBeenCalledExactlyOnceWith(true);
  // A new plan asks again.
  rerender(planned({ ...LOSING, digest: "other" }));
  expect(screen.getByRole<HTMLInputElement>("checkbox").checked).toBe(false);
  expect(button.disabled).toBe(true);
  // A plan without data loss does not ask.
  rerender(planned(plan({ summary: { ...SUMMARY, create: 1 } })));
  expect(screen.queryByRole("checkbox")).toBeNull();
  await user.click(screen.getByRole("button", { name: "Apply" }));
  expect(apply).toHaveBeenLastCalledWith(false);
});

test("a plan that cannot be applied shows why; an empty plan shows that there is nothing to do", () => {
  show(<PlanView plan={plan({ blockers: ["the cloud has no flavor `m9`"] })} />);
  expect(screen.getByRole("alert").textContent).toContain("no flavor `m9`");
  cleanup();
  show(<PlanView plan={plan({ noop: true })} />, "zh");
  expect(screen.getByRole("status").textContent).toContain("无需操作");
});

function step(name: string, state: RunStep["state"], seq: number, more: Partial<RunStep> = {}): RunStep {
  return { step: name, action: "create", state, doing: "", amount: null, notes: [], error: null, hint: null, took_ms: null, seq, ...more };
}

test("steps keep their order, and what is older changes nothing", () => {
  let steps = [step("network front", "waiting", 0), step("server db", "waiting", 0)];
  steps = upsertStep(steps, step("server db", "running", 5));
  steps = upsertStep(steps, step("server db", "waiting", 3));
  steps = upsertStep(steps, step("service site/web", "running", 6));
  expect(steps.map((s) => `${s.step} ${s.state}`)).toEqual(["network front waiting", "server db running", "service site/web running"]);
});

const RUN: Run = {
  id: "r", yard: "shop", kind: "up", revision: 1, actor: "token ann", began: "2026-11-26T06:00:00Z", ended: null,
  state: "failed", error: "server db: in ERROR", steps: { all: 2, done: 1, failed: 1 },
};

test("a run tells how far it is, and why a step failed", () => {
  const failed = step("server db", "failed", 4, { error: "in ERROR: No valid host\nconsole: kernel panic", hint: "look at the quota" });
  show(<RunView feed={{ ...EMPTY_RUN_FEED, run: RUN, steps: [step("network front", "done", 2, { took_ms: 1200 }), failed], notes: ["an answer got lost"] }} />);
  expect(screen.getByRole("alert").textContent).toContain("kernel panic");
  expect(screen.getByRole("alert").textContent).toContain("look at the quota");
  expect(screen.getAllByText("1 of 2 steps").length).toBeGreaterThan(0);
  expect(screen.getByText("1.2 s")).toBeTruthy();
  expect(screen.getByText("an answer got lost")).toBeTruthy();
});

test("a run shows the time left, if earlier runs tell", () => {
  const going: Run = { ...RUN, state: "running", error: null };
  const { unmount } = show(<RunView feed={{ ...EMPTY_RUN_FEED, run: going, steps: [step("server db", "running", 4, { began_ms: Date.now(), usual_ms: 95_000 })] }} />);
  expect(screen.getByText("about 1:35 left")).toBeTruthy();
  unmount();
  show(<RunView feed={{ ...EMPTY_RUN_FEED, run: going, steps: [step("server db", "running", 4, { began_ms: Date.now() })] }} />);
  expect(screen.queryByText(/left$/)).toBeNull();
});

test("quotas are told in units that people use", () => {
  expect([quotaAmount("ram", 2048), quotaAmount("gigabytes", 20), quotaAmount("cores", 4)]).toEqual(["2.0 GiB", "20 GiB", "4"]);
  show(<Quotas quotas={[{ name: "instances", yard: 2, used: 9, limit: 10 }, { name: "port", yard: 3, used: 3, limit: null }]} />);
  expect(screen.getByText(/2 in this yard/)).toBeTruthy();
  expect(screen.getByLabelText("Servers: 9 / 10").getAttribute("value")).toBe("0.9");
});

/** Completions at the `|` in a text. */
function offered(text: string, explicit = false): string[] {
  const at = text.indexOf("|");
  const state = EditorState.create({ doc: text.replace("|", "") });
  return completionsAt(new CompletionContext(state, at, explicit), ["lab", "local"])?.options.map((o) => o.label) ?? [];
}

test("the editor offers what the schema allows, and the server's clouds", () => {
  const spec = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n";
  expect(offered(`${spec}  servers:\n    - {name: db, fl|`)).toContain("flavor");
  expect(offered(`${spec}  cloud: l|`)).toEqual(["lab", "local"]);
  expect(offered(`${spec}  |`)).toEqual([]);
  expect(offered(`${spec}  |`, true)).toContain("floatingIPs");
  expect(offered("# comm|", true)).toEqual([]);
});

test("a mistake is marked from its place to the end of the word, also where the text is shorter by now", () => {
  const doc = Text.of(["spec:", "  netwoks: []"]);
  const mistake = { file: "yard.yaml", line: 2, column: 3, message: "unknown key `netwoks`", hint: "did you mean `networks`?" };
  const found = editorDiagnostic(mistake, doc);
  expect([found.from, found.to, found.message]).toEqual([8, 15, "unknown key `netwoks`; did you mean `networks`?"]);
  const late = editorDiagnostic({ ...mistake, line: 9, column: 90, hint: null }, doc);
  expect([late.from, late.to]).toEqual([doc.length, doc.length]);
  expect(editorDiagnostic({ ...mistake, line: null, column: null }, doc).from).toBe(0);
});

test("events of containers: newest first, with the cause", () => {
  const event = { at: "2026-11-26T10:00:00Z", yard: "shop", host: "h", host_name: "web-1", stack: "site", service: "web", replica: "web-1", container: "abc", oom: false, lines: [] };
  const events: ContainerEvent[] = [{ ...event, seq: 1, kind: "started" }, { ...event, seq: 2, kind: "died", status: 137, oom: true, lines: ["a", "killed"] }];
  const { container } = show(<EventTable events={events} place={(one) => one.host_name} placed="Host" />);
  const rows = [...container.querySelectorAll("tbody tr")];
  expect(rows.map((row) => row.querySelector(".state")?.textContent)).toEqual(["exited, status 137, out of memory", "started"]);
  expect(rows[0]?.textContent).toContain("killed");
  expect(rows[0]?.querySelector(".state")?.getAttribute("data-state")).toBe("failed");
});
