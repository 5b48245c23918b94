import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { ApiError } from "../api/client";
import { roleIncludes } from "../api/queries";
import { LanguageProvider, type Language } from "../i18n";
import { ConfirmDialog, type ConfirmRequest } from "./confirm-dialog";
import { JoinCommand } from "./join-host";
import { Problem } from "./problem";
import { StateMark } from "./state-mark";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

function show(node: ReactNode, language: Language = "en") {
  return render(
    <MantineProvider env="test">
      <LanguageProvider initial={language}>
        <QueryClientProvider client={new QueryClient()}>{node}</QueryClientProvider>
      </LanguageProvider>
    </MantineProvider>,
  );
}

test("a state is told by a word, in the reader's language", () => {
  show(<StateMark state="degraded" />);
  expect(screen.getByText("degraded")).toBeTruthy();
  cleanup();
  show(<StateMark state="degraded" />, "zh");
  expect(screen.getByText("异常")).toBeTruthy();
});

test("an error says what the server said and what to do", () => {
  show(<Problem error={new ApiError(429, "Too Many Requests", "too many bad tokens")} />);
  expect(screen.getByRole("alert").textContent).toContain("too many bad tokens");
  expect(screen.getByRole("alert").textContent).toContain("Wait a minute");
});

test("a destructive action runs only after its name was typed, and shows why it failed", async () => {
  const run = vi.fn().mockRejectedValueOnce(new ApiError(409, "Conflict", "not now")).mockResolvedValue(undefined);
  const close = vi.fn();
  const question: ConfirmRequest = {
    title: "Remove?", text: "really", button: "Remove", command: "stackyard host remove web-1",
    typed: { label: "Type", text: "web-1" }, destructive: true, run,
  };
  show(<ConfirmDialog question={question} close={close} />);
  const user = userEvent.setup();
  const button = screen.getByRole("button", { name: "Remove" });
  expect(button.hasAttribute("disabled")).toBe(true);
  await user.type(screen.getByLabelText("Type"), "web-{Enter}");
  expect(run).not.toHaveBeenCalled();
  await user.type(screen.getByLabelText("Type"), "1");
  await user.click(button);
  expect(await screen.findByText("not now")).toBeTruthy();
  expect(close).not.toHaveBeenCalled();
  await user.click(button);
  await vi.waitFor(() => expect(close).toHaveBeenCalled());
});

test("a join command counts down, expires, and shows the host that joined", async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  const ticket = {
    token: "t", expires: new Date(1_000_000 + 61_000).toISOString(), server: "", ca_pem: "", ca_sha256: "", command: "curl x",
  };
  const view = (joined: string[]) => (
    <MantineProvider env="test">
      <LanguageProvider initial="en"><JoinCommand ticket={ticket} joined={joined} again={() => undefined} close={() => undefined} /></LanguageProvider>
    </MantineProvider>
  );
  const { rerender } = render(view([]));
  expect(screen.getByRole("status").textContent).toContain("1:01");
  await act(() => vi.advanceTimersByTimeAsync(31_000));
  expect(screen.getByRole("status").textContent).toContain("0:30");
  await act(() => vi.advanceTimersByTimeAsync(31_000));
  expect(screen.getByRole("status").textContent).toContain("expired");
  rerender(view(["web-3"]));
  expect(screen.getByRole("status").textContent).toContain("web-3 has joined");
});

test("each role may do what those before it may", () => {
  expect(roleIncludes("admin", "operator")).toBe(true);
  expect(roleIncludes("viewer", "operator")).toBe(false);
  expect(roleIncludes("operator", "operator")).toBe(true);
});
