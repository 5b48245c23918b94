import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { api, type Replica, type Service, type Stack } from "../api/client";
import { LanguageProvider, type Language } from "../i18n";
import { UpdateProgress, UpdateForm } from "./stack-update";
import { invalidNames, serviceForm, isUnchanged, rolloutProgress, serviceChanges, updateCommand } from "./service-update";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const HAS = { image: "app:1", environment: { A: "1", B: "two words" } };

test("what differs is sent, and nothing else", () => {
  const form = serviceForm(HAS);
  expect(isUnchanged(serviceChanges(HAS, form))).toBe(true);
  const [a, b] = form.rows;
  if (!a || !b) throw new Error("two rows");
  const changed = serviceChanges(HAS, { image: " app:2 ", rows: [{ ...a, value: "3" }, { id: 7, name: "C", value: "" }, { id: 8, name: "", value: "" }] });
  expect(changed).toEqual({ image: "app:2", environment: { A: "3", C: "", B: null } });
  expect(invalidNames([a, b, { id: 2, name: "A", value: "" }, { id: 3, name: "x=y", value: "" }])).toEqual(new Set([2, 3]));
});

const replica = (n: number, generation: number, more: Partial<Replica> = {}): Replica =>
  ({ name: `web-${n}`, index: n, host: "i", host_name: "h1", state: "running", healthy: true, restarts: 0, generation, container: "c", health: "ready", status: null, reason: null, ...more });

function stack(more: Partial<Stack["status"]>, service: Partial<Service> = {}): Stack {
  const web: Service = { name: "web", image: "app:2", mode: "replicated", desired: 2, running: 2, ready: 2, generation: 4, health: "progressing", phase: "updating", reason: null, replicas: [replica(1, 4), replica(2, 3)], ...service };
  return {
    yard: "shop", name: "site", removing: false, pool: null, declared: false, previous: 1, deployed: "2026-11-26T06:00:00Z",
    versions: [{ number: 2, succeeded: false }, { number: 1, succeeded: true }],
    status: { version: 2, health: "progressing", reasons: [], notes: [], services: [web], ...more },
  };
}

test("the command line does the same", () => {
  expect(updateCommand(stack({}), "web", { image: "app:2", environment: { A: "it's", B: null } })).toBe(
    "stackyard stack update --yard shop site web --image app:2 --env 'A=it'\\''s' --env-rm B",
  );
});

test("how far an update is: new containers that work count", () => {
  const of = (made: Stack) => rolloutProgress(made, made.status.services[0]);
  expect(of(stack({}))).toEqual({ state: "progressing", done: 1, all: 2 });
  expect(of(stack({ health: "ready" }, { replicas: [replica(1, 4), replica(2, 4)] }))).toEqual({ state: "ready", done: 2, all: 2 });
  // The server has not reconciled it since the deployment.
  expect(of(stack({ version: 1, health: "ready" }, { replicas: [replica(1, 4), replica(2, 4)] }))).toEqual({ state: "progressing", done: 0, all: 2 });
  expect(of(stack({ health: "failed" }, { replicas: [replica(1, 4, { health: "degraded", reason: "boom" }), replica(2, 3)] }))).toEqual({ state: "failed", done: 0, all: 2 });
});

async function show(node: ReactNode, language: Language = "en") {
  const root = createRootRoute();
  const router = createRouter({ routeTree: root.addChildren([createRoute({ getParentRoute: () => root, path: "/", component: () => node })]), history: createMemoryHistory() });
  render(
    <MantineProvider env="test">
      <LanguageProvider initial={language}><QueryClientProvider client={new QueryClient()}><RouterProvider router={router as never} /></QueryClientProvider></LanguageProvider>
    </MantineProvider>,
  );
  await screen.findAllByText(/\S/);
}

test("a plan comes first, and what is sent then has the tag of what was seen", async () => {
  const asked: [string, unknown, unknown][] = [];
  vi.spyOn(api, "POST").mockImplementation((async (path: string, { params, body }: { params: { header?: unknown }; body: unknown }) => {
    asked.push([path.replace(/.*\{stack\}/, ""), params.header, body]);
    return Promise.resolve({ data: [{ service: "web", kind: "changed", reasons: ["environment", "image"] }, { service: "db", kind: "same", reasons: [] }], response: new Response() });
  }) as never);
  const begun = vi.fn();
  await show(<UpdateForm stack={stack({})} names={["web", "db"]} service="web" setService={() => undefined} definition={HAS} tag={'"t"'} close={() => undefined} begun={begun} />);
  expect(screen.getByRole("button", { name: "Plan" })).toHaveProperty("disabled", true);
  fireEvent.change(screen.getByLabelText("Image"), { target: { value: "app:2" } });
  fireEvent.change(screen.getByLabelText("Value of A"), { target: { value: "3" } });
  fireEvent.click(screen.getByRole("button", { name: "Remove B" }));
  fireEvent.click(screen.getByRole("button", { name: "Plan" }));
  await screen.findByText("The update replaces the containers of web in batches:");
  const lines = [...screen.getByRole("list", { name: "Plan" }).children].map((one) => one.textContent);
  expect(lines).toEqual(["~change Image app:1 → app:2", "~change A 1 → 3", "−remove B two words"]);
  fireEvent.click(screen.getByRole("button", { name: "Update now" }));
  await waitFor(() => expect(begun).toHaveBeenCalled());
  const body = { services: { web: { image: "app:2", environment: { A: "3", B: null } } } };
  expect(asked).toEqual([["/update/plan", undefined, body], ["/update", { "If-Match": '"t"' }, body]]);
  // A new change requires a new plan.
  fireEvent.change(screen.getByLabelText("Image"), { target: { value: "app:3" } });
  screen.getByRole("button", { name: "Plan" });
});

test("an update that fails says why", async () => {
  const failed = stack({ health: "failed", reasons: ["web: the update is paused: exited with 7: boom"] }, { phase: "paused", replicas: [replica(1, 4, { state: "exited", status: 7, health: "degraded", reason: "boom" }), replica(2, 3)] });
  await show(<UpdateProgress stack={failed} service="web" close={() => undefined} />, "zh");
  expect(screen.getByRole("alert").textContent).toContain("exited with 7: boom");
  expect(screen.getAllByRole("status")[0]?.textContent).toContain("web 的更新失败");
  expect(screen.getAllByText("旧版本").length).toBe(1);
});
