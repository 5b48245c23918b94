import { MantineProvider } from "@mantine/core";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { LanguageProvider, type Language } from "../i18n";
import { NodeDetails, GroupDetails } from "./details";
import { TopologyList } from "./list";
import { indexGraph, matchingNodes, NO_FILTER } from "./model";
import { testNode, shopGraph, withState } from "./fixtures";

afterEach(cleanup);

function show(content: ReactNode, language: Language = "en") {
  return render(<MantineProvider env="test"><LanguageProvider initial={language}>{content}</LanguageProvider></MantineProvider>);
}

const found = indexGraph(withState(shopGraph(), "server/db", "failed"));
const of = (id: string) => found.nodes.get(id) ?? testNode(id);

test("details show the state in words, all details, and connected items", async () => {
  const choose = vi.fn();
  show(<NodeDetails index={found} node={of("server/db")} choose={choose} />);
  const details = within(screen.getByRole("region", { name: "server db" }));
  expect(details.getByText("failed")).toBeTruthy();
  expect(details.getByText("m1.tiny")).toBeTruthy();
  expect(details.getByText("Flavor")).toBeTruthy();
  await userEvent.click(details.getByRole("button", { name: "data" }));
  expect(choose).toHaveBeenCalledWith("volume/data");
  await userEvent.click(details.getByRole("button", { name: "Close" }));
  expect(choose).toHaveBeenLastCalledWith(null);
});

test("a detail of a newer server is shown under its own name", () => {
  show(<NodeDetails index={found} node={{ ...of("server/db"), details: { gpu_type: "x" } }} choose={() => undefined} />);
  expect(screen.getByText("gpu type")).toBeTruthy();
});

test("containers that are drawn as one can be drawn one by one, and are listed", async () => {
  const toggle = vi.fn();
  const members = found.graph.nodes.filter((n) => n.parent === "server/web-1" && n.service === "service/site/web");
  show(<GroupDetails index={found} members={members} works={2} opened={false} toggle={toggle} choose={() => undefined} />);
  expect(screen.getByText("2 of 3 ready")).toBeTruthy();
  expect(screen.getByRole("button", { name: "web-1-3" })).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Show individually" }));
  expect(toggle).toHaveBeenCalled();
});

test("the list has what matches, in the reader's language, and says how much more there is", async () => {
  const many = indexGraph(shopGraph(20, 10));
  const all = many.graph.nodes.length;
  const { container } = show(<TopologyList index={many} visible={matchingNodes(many, NO_FILTER)} chosen={null} choose={() => undefined} />, "zh");
  // By selector: roles of so many rows take their time without a browser.
  expect(container.querySelectorAll("tbody tr")).toHaveLength(200);
  expect(screen.getAllByText("网络").length).toBeGreaterThan(1);
  await userEvent.click(screen.getByText(`显示全部 ${all} 项`));
  expect(container.querySelectorAll("tbody tr")).toHaveLength(all);
  cleanup();
  const few = show(<TopologyList index={many} visible={matchingNodes(many, { ...NO_FILTER, text: "web-20" })} chosen={null} choose={() => undefined} />);
  expect(few.container.querySelectorAll("tbody tr")).toHaveLength(1 + 10);
});
