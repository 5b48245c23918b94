import { Button, Checkbox, NumberInput, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "../api/client";
import { currentAnswer, answerChanges, isQuestionShown, type EnteredAnswers, type CloudQuestion } from "../api/local-cloud";
import { localQuestions, useHasRole } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { QueryResult, Problem } from "../components/problem";
import { NotFound } from "./not-found";

/** The package's questions as a form. Submitting it makes a plan for review. */
export default function CloudChangePage() {
  const { t } = useTexts();
  const isAdmin = useHasRole("admin");
  const query = useQuery({ ...localQuestions, enabled: isAdmin });
  if (!isAdmin) return <NotFound text={t("cloud.admins")} />;
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/cloud">{t("cloud.title")}</Link> /</span> {t("cloud.answers")}</h1>
      </div>
      <QueryResult query={query}>{(questions) => <AnswersForm questions={questions} />}</QueryResult>
    </div>
  );
}

/** The equivalent `stackyard cloud up` command. */
export function upCommand(set: Record<string, string>, unset: string[], force: boolean): string {
  const words = ["stackyard cloud up"];
  for (const [name, value] of Object.entries(set)) words.push(`--set ${shellQuote(`${name}=${value}`)}`);
  for (const name of unset) words.push(`--unset ${shellQuote(name)}`);
  if (force) words.push("--force");
  return words.join(" ");
}

function AnswersForm({ questions }: { questions: CloudQuestion[] }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const [entered, setEntered] = useState<EnteredAnswers>({});
  const [force, setForce] = useState(false);
  const { set, unset } = answerChanges(questions, entered);
  const plan = useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/local/runs", { body: { kind: "plan", set, unset, force } })),
    onSuccess: (run) => navigate({ to: "/cloud/runs/$run", params: { run: run.id } }),
  });
  const enter = (name: string, text: string) => setEntered((now) => ({ ...now, [name]: text }));
  const visibleQuestions = questions.filter((question) => isQuestionShown(question, questions, entered));
  const [first, ...rest] = visibleQuestions;
  const field = (question: CloudQuestion) => <AnswerField key={question.name} question={question} value={currentAnswer(question, entered)} enter={(text) => enter(question.name, text)} />;
  return (
    <form
      className="panel answers"
      aria-label={t("cloud.answers")}
      onSubmit={(event) => {
        event.preventDefault();
        plan.mutate();
      }}
    >
      {first && <div className="pad">{field(first)}</div>}
      <details>
        <summary>{t("cloud.more.answers", { n: rest.length })}</summary>
        <div className="pad fields">{rest.map(field)}</div>
      </details>
      <div className="pad form">
        <Checkbox label={t("cloud.force")} checked={force} onChange={(e) => setForce(e.currentTarget.checked)} />
        {plan.error && <Problem error={plan.error} />}
        <p className="quiet">{t("cloud.planFirst")}</p>
        <div className="buttons">
          <Button variant="default" renderRoot={(props) => <Link to="/cloud" {...props} />}>{t("cancel")}</Button>
          <Button type="submit" loading={plan.isPending}>{t("edit.plan")}</Button>
        </div>
        <CommandLine text={upCommand(set, unset, force)} />
      </div>
    </form>
  );
}

function AnswerField({ question, value, enter }: { question: CloudQuestion; value: string; enter: (text: string) => void }) {
  const isAnswered = question.origin === "given";
  const props = {
    label: question.label,
    description: `${question.description.trim()} (${question.allowed})`,
    required: question.required,
    ...(isAnswered ? { "data-given": true } : {}),
  };
  switch (question.kind) {
    case "enum":
      return <Select {...props} data={question.options} value={value} onChange={(text) => enter(text ?? "")} allowDeselect={false} />;
    case "bool":
      return <Checkbox label={props.label} description={props.description} checked={value === "true"} onChange={(e) => enter(String(e.currentTarget.checked))} />;
    case "int":
      return (
        <NumberInput
          {...props}
          value={value}
          onChange={(n) => enter(String(n))}
          allowDecimal={false}
          {...(question.min != null ? { min: question.min } : {})}
          {...(question.max != null ? { max: question.max } : {})}
        />
      );
    case "password":
      return <TextInput {...props} type="password" autoComplete="new-password" placeholder={question.answer} onChange={(e) => enter(e.currentTarget.value)} />;
    default:
      return <TextInput {...props} value={value} onChange={(e) => enter(e.currentTarget.value)} autoComplete="off" />;
  }
}
