import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTexts } from "../i18n";
import { CommandLine } from "./command-line";
import { NamedDialog } from "./dialog";
import { Problem } from "./problem";

export interface ConfirmRequest {
  title: string;
  text: string;
  button: string;
  command: string;
  /** Text that the user must type before the button is enabled. */
  typed?: { label: string; text: string };
  /** The action cannot be undone. */
  destructive?: boolean;
  run: () => Promise<unknown>;
}

/** Asks before an action runs, and shows the error if it fails. */
export function ConfirmDialog({ question, close }: { question: ConfirmRequest | null; close: () => void }) {
  return (
    <NamedDialog opened={question !== null} onClose={close} title={question?.title}>
      {question && <ConfirmForm question={question} close={close} />}
    </NamedDialog>
  );
}

function ConfirmForm({ question, close }: { question: ConfirmRequest; close: () => void }) {
  const { t } = useTexts();
  const [typed, setTyped] = useState("");
  const run = useMutation({ mutationFn: question.run, onSuccess: close });
  const ready = !question.typed || typed === question.typed.text;
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) run.mutate();
      }}
    >
      <p>{question.text}</p>
      {question.typed && (
        <TextInput
          label={question.typed.label}
          placeholder={question.typed.text}
          value={typed}
          onChange={(e) => setTyped(e.currentTarget.value)}
          data-autofocus
          autoComplete="off"
        />
      )}
      {run.error && <Problem error={run.error} />}
      <CommandLine text={question.command} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button type="submit" color={question.destructive ? "red.8" : undefined} disabled={!ready} loading={run.isPending}>
          {question.button}
        </Button>
      </div>
    </form>
  );
}
