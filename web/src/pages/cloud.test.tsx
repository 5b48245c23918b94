import { MantineProvider } from "@mantine/core";
import { cleanup, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test } from "vitest";
import { answerChanges, isQuestionShown, cloudServiceState, type LocalService, type CloudQuestion } from "../api/local-cloud";
import { LanguageProvider, type Language } from "../i18n";
import { PreflightTable } from "./cloud";
import { upCommand } from "./cloud-change";

afterEach(cleanup);

function show(node: ReactNode, language: Language = "en") {
  return render(<MantineProvider env="test"><LanguageProvider initial={language}>{node}</LanguageProvider></MantineProvider>);
}

const question = (name: string, answer: string, more: Partial<CloudQuestion> = {}): CloudQuestion => ({
  name, answer, label: name, description: "", kind: "string", options: [], allowed: "a text", required: false, show_if: {}, origin: "default", ...more,
});
const ALL = [
  question("profile", "core", { kind: "enum", options: ["core", "full"] }),
  question("heat_cfn_port", "8000", { kind: "int", show_if: { profile: "full" } }),
  question("ratio", "2.0", { origin: "given" }),
  question("dns", ""),
];

test("only what differs is sent; an emptied answer goes back to its default", () => {
  expect(answerChanges(ALL, {})).toEqual({ set: {}, unset: [] });
  expect(answerChanges(ALL, { profile: "full", ratio: "", dns: "" })).toEqual({ set: { profile: "full" }, unset: ["ratio"] });
  expect(answerChanges(ALL, { profile: "core" })).toEqual({ set: {}, unset: [] });
  // There is no stored answer to restore.
  expect(answerChanges(ALL, { heat_cfn_port: "" })).toEqual({ set: {}, unset: [] });
});

test("a question is asked if the others' answers say so", () => {
  const asked = (entered: Record<string, string>) => ALL.filter((q) => isQuestionShown(q, ALL, entered)).map((q) => q.name);
  expect(asked({})).toEqual(["profile", "ratio", "dns"]);
  expect(asked({ profile: "full" })).toEqual(["profile", "heat_cfn_port", "ratio", "dns"]);
});

test("the command line says the same, in words of a shell", () => {
  expect(upCommand({ profile: "full", dns: "a b" }, ["ratio"], true)).toBe("stackyard cloud up --set profile=full --set 'dns=a b' --unset ratio --force");
});

test("the fix of a check is shown for warnings and blockers only", () => {
  const check = { id: "a", title: "Memory", seen: "8 GiB", means: "servers are few", mend: "add memory" };
  const { rerender } = show(<PreflightTable checks={[{ ...check, result: "warn" }]} />);
  expect(screen.getByText("warning").closest(".state")).toHaveProperty("dataset.state", "degraded");
  expect(screen.getByText("add memory")).toBeTruthy();
  rerender(<MantineProvider env="test"><LanguageProvider initial="en"><PreflightTable checks={[{ ...check, result: "info" }]} /></LanguageProvider></MantineProvider>);
  expect(screen.queryByText("add memory")).toBeNull();
});

test("a service that is down is told from one that fails its test", () => {
  const service = { ok: false, health: "down" } as LocalService;
  expect([cloudServiceState(service), cloudServiceState({ ...service, health: "unhealthy" }), cloudServiceState({ ...service, ok: true })]).toEqual(["unknown", "degraded", "ready"]);
});
