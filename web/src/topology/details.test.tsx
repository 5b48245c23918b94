import { MantineProvider } from "@mantine/core";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { LanguageProvider, type Language } from "../i18n";
import { Details, GroupDetails } from "./details";
import { List } from "./list";
import { index, matching, EVERYTHING } from "./model";
import { node, shop, turned } from "./fixtures";

afterEach(cleanup);

function show(content: ReactNode, language: Language = "en") {
  return render(<MantineProvider env="test"><LanguageProvider initial={language}>{content}</LanguageProvider></MantineProvider>);
}

const found = index(turned(shop(), "server/db", "failed"));
const of = (id: string) => found.nodes.get(id) ?? node(id);

test("details name the state in words, all that is known, and what it is joined with", async () => {
  const choose = vi.fn();
  show(<Details index={found} node={of("server/db")} choose={choose} />);
  const details = within(screen.getByRole("region", { name: "server db" }));
  expect(details.getByText("given up")).toBeTruthy();
  expect(details.getByText("m1.tiny")).toBeTruthy();
  expect(details.getByText("Flavor")).toBeTruthy();
  await userEvent.click(details.getByRole("button", { name: "data" }));
  expect(choose).toHaveBeenCalledWith("volume/data");
  await userEvent.click(details.getByRole("button", { name: "Close" }));
  expect(choose).toHaveBeenLastCalledWith(null);
});

test("a detail of a newer server is shown under its own name", () => {
  show(<Details index={found} node={{ ...of("server/db"), details: { gpu_type: "x" } }} choose={() => undefined} />);
  expect(screen.getByText("gpu type")).toBeTruthy();
});

test("containers that are drawn as one can be drawn one by one, and are listed", async () => {
  const toggle = vi.fn();
  const members = found.graph.nodes.filter((n) => n.parent === "server/web-1" && n.service === "service/site/web");
  show(<GroupDetails index={found} members={members} works={2} opened={false} toggle={toggle} choose={() => undefined} />);
  expect(screen.getByText("2 of 3 work")).toBeTruthy();
  expect(screen.getByRole("button", { name: "web-1-3" })).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Draw one by one" }));
  expect(toggle).toHaveBeenCalled();
});

test("the list has what matches, in the reader's language, and says how much more there is", async () => {
  const many = index(shop(20, 10));
  const all = many.graph.nodes.length;
  const { container } = show(<List index={many} seen={matching(many, EVERYTHING)} chosen={null} choose={() => undefined} />, "zh");
  // By selector: roles of so many rows take their time without a browser.
  expect(container.querySelectorAll("tbody tr")).toHaveLength(200);
  expect(screen.getAllByText("网络").length).toBeGreaterThan(1);
  await userEvent.click(screen.getByText(`显示全部 ${all} 项`));
  expect(container.querySelectorAll("tbody tr")).toHaveLength(all);
  cleanup();
  const few = show(<List index={many} seen={matching(many, { ...EVERYTHING, text: "web-20" })} chosen={null} choose={() => undefined} />);
  expect(few.container.querySelectorAll("tbody tr")).toHaveLength(1 + 10);
});
