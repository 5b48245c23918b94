import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";
import { api, type Plan } from "../api/client";
import { LanguageProvider } from "../i18n";
import { RemoveYard } from "./remove-yard";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const PLAN: Plan = {
  cloud: "lab",
  plan: { yard: "shop", steps: [{ key: { kind: "volume", name: "data" }, action: "remove", id: "1", loses_data: true }] },
  summary: { create: 0, change: 0, replace: 0, remove: 1, wait: 0, keep: 0, lose_data: 1 },
  noop: false, blockers: [], warnings: [], digest: "d",
};

test("a yard that holds data is removed after its name was typed and the loss was agreed to", async () => {
  const sent = vi.spyOn(api, "POST").mockImplementation((path: string) => {
    const data = path.endsWith("/plan") ? PLAN : { id: "r" };
    return Promise.resolve({ data, response: new Response() }) as never;
  });
  const root = createRootRoute();
  const page = createRoute({ getParentRoute: () => root, path: "/", component: () => <RemoveYard yard="shop" opened close={vi.fn()} /> });
  const run = createRoute({ getParentRoute: () => root, path: "/yards/$yard/runs/$run", component: () => <p>begun</p> });
  const router = createRouter({ routeTree: root.addChildren([page, run]), history: createMemoryHistory() });
  const queries = <QueryClientProvider client={new QueryClient()}><RouterProvider router={router as never} /></QueryClientProvider>;
  render(<MantineProvider env="test"><LanguageProvider initial="en">{queries}</LanguageProvider></MantineProvider>);

  const user = userEvent.setup();
  const agree = await screen.findByLabelText("Lose the data of volume data");
  const button = screen.getByRole<HTMLButtonElement>("button", { name: "Remove" });
  await user.type(screen.getByLabelText("Type the yard's name to confirm"), "shop");
  expect(button.disabled).toBe(true);
  await user.click(agree);
  expect(button.disabled).toBe(false);
  await user.click(button);
  await screen.findByText("begun");
  expect(sent).toHaveBeenLastCalledWith("/api/v1/yards/{yard}/runs", { params: { path: { yard: "shop" } }, body: { remove: true, plan: "d", allow_data_loss: true } });
});
