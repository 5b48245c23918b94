import { Button, Checkbox, NumberInput, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, get } from "../api/client";
import { answer, changes, isAsked, type Entered, type Question } from "../api/local-cloud";
import { localQuestions, useMay } from "../api/queries";
import { shell } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { Loaded, Problem } from "../components/problem";
import { Missing } from "./not-found";

/** The package's questions as a form. What comes of it is a plan, which is looked at first. */
export default function CloudChangePage() {
  const { t } = useTexts();
  const may = useMay("admin");
  const query = useQuery({ ...localQuestions, enabled: may });
  if (!may) return <Missing text={t("cloud.admins")} />;
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/cloud">{t("cloud.title")}</Link> /</span> {t("cloud.answers")}</h1>
      </div>
      <Loaded query={query}>{(questions) => <Form questions={questions} />}</Loaded>
    </div>
  );
}

/** The command line that answers so. */
export function upCommand(set: Record<string, string>, unset: string[], force: boolean): string {
  const words = ["stackyard cloud up"];
  for (const [name, value] of Object.entries(set)) words.push(`--set ${shell(`${name}=${value}`)}`);
  for (const name of unset) words.push(`--unset ${shell(name)}`);
  if (force) words.push("--force");
  return words.join(" ");
}

function Form({ questions }: { questions: Question[] }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const [entered, setEntered] = useState<Entered>({});
  const [force, setForce] = useState(false);
  const { set, unset } = changes(questions, entered);
  const plan = useMutation({
    mutationFn: () => get(api.POST("/api/v1/local/runs", { body: { kind: "plan", set, unset, force } })),
    onSuccess: (run) => navigate({ to: "/cloud/runs/$run", params: { run: run.id } }),
  });
  const enter = (name: string, text: string) => setEntered((now) => ({ ...now, [name]: text }));
  const asked = questions.filter((question) => isAsked(question, questions, entered));
  const [first, ...rest] = asked;
  const field = (question: Question) => <Field key={question.name} question={question} value={answer(question, entered)} enter={(text) => enter(question.name, text)} />;
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

function Field({ question, value, enter }: { question: Question; value: string; enter: (text: string) => void }) {
  const given = question.origin === "given";
  const props = {
    label: question.label,
    description: `${question.description.trim()} (${question.allowed})`,
    required: question.required,
    ...(given ? { "data-given": true } : {}),
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
