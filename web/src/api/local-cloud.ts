/** The cloud of the server's machine. */
import type { Schemas } from "./client";
import type { HealthState } from "./health";

export type LocalRun = Schemas["LocalRun"];
export type LocalDetail = Schemas["LocalDetail"];
export type LocalService = Schemas["LocalService"];
export type CloudQuestion = Schemas["LocalQuestion"];
export type PlanPreview = Schemas["LocalPreview"];
export type PreflightCheck = Schemas["PreflightCheck"];

export const CLOUD_VIEWS = ["services", "preflight", "logs", "runs"] as const;
export type CloudView = (typeof CLOUD_VIEWS)[number];

export function cloudRunPath(id: string): string {
  return `/api/v1/local/runs/${encodeURIComponent(id)}`;
}

export function cloudServiceState(service: LocalService): HealthState {
  if (service.ok) return "ready";
  return service.health === "down" ? "unknown" : "degraded";
}

export function checkState(check: PreflightCheck): HealthState {
  return ({ pass: "ready", info: "waiting", warn: "degraded", fail: "failed" } as const)[check.result];
}

/** Input in the form by question. Other questions keep their answers. */
export type EnteredAnswers = Record<string, string>;

/** The entered answer, or the stored one. */
export function currentAnswer(question: CloudQuestion, entered: EnteredAnswers): string {
  return entered[question.name] ?? question.answer;
}

/** Whether the answers to other questions enable a question. */
export function isQuestionShown(question: CloudQuestion, all: CloudQuestion[], entered: EnteredAnswers): boolean {
  return Object.entries(question.show_if).every(([name, wanted]) => {
    const other = all.find((q) => q.name === name);
    return other !== undefined && currentAnswer(other, entered) === wanted;
  });
}

/** Differences from the stored answers. An empty text restores the default, because no answer is empty. */
export function answerChanges(all: CloudQuestion[], entered: EnteredAnswers): { set: Record<string, string>; unset: string[] } {
  const set: Record<string, string> = {};
  const unset: string[] = [];
  for (const question of all) {
    const text = entered[question.name];
    if (text === undefined || text === question.answer) continue;
    if (text !== "") set[question.name] = text;
    else if (question.origin === "given") unset.push(question.name);
  }
  return { set, unset };
}
