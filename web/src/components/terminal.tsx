import "@xterm/xterm/css/xterm.css";
import { Button, TextInput } from "@mantine/core";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm } from "@xterm/xterm";
import { useEffect, useRef, useState } from "react";
import type { Schemas, Stack } from "../api/client";
import { decodeBase64, encodeBase64 } from "../base64";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { nonce } from "../nonce";
import { CommandLine } from "./command-line";

/** Adds the page's nonce to each `<style>` element that `make` creates, because xterm.js has no option for it. */
function withNonce(make: () => void) {
  const page: { createElement: (tag: string, options?: ElementCreationOptions) => HTMLElement } = document;
  const create = page.createElement;
  page.createElement = (tag, options) => {
    const element = create.call(document, tag, options);
    if (tag === "style") element.nonce = nonce();
    return element;
  };
  try {
    make();
  } finally {
    page.createElement = create;
  }
}

/** Runs a program in a container and shows it in a terminal. */
export default function Terminal({ stack, replica }: { stack: Stack; replica: string }) {
  const { t } = useTexts();
  const [text, setText] = useState("sh");
  const [run, setRun] = useState({ program: "sh", number: 0 });
  const [end, setEnd] = useState<string | null>(null);
  const words = run.program.trim().split(/\s+/);
  return (
    <div className="form">
      <form
        className="termbar"
        onSubmit={(event) => {
          event.preventDefault();
          setEnd(null);
          setRun({ program: text, number: run.number + 1 });
        }}
      >
        <TextInput aria-label={t("terminal.command")} value={text} onChange={(e) => setText(e.currentTarget.value)} autoComplete="off" />
        <Button type="submit" variant="default" disabled={text.trim() === ""}>{t("terminal.again")}</Button>
        <span className="quiet" role="status">{end}</span>
      </form>
      <TerminalScreen key={run.number} yard={stack.yard} stack={stack.name} replica={replica} program={words} ended={setEnd} />
      <CommandLine text={`stackyard stack exec --yard ${shellQuote(stack.yard)} ${shellQuote(stack.name)} ${shellQuote(replica)} ${words.map(shellQuote).join(" ")}`} />
    </div>
  );
}

interface TerminalScreenProps {
  yard: string;
  stack: string;
  replica: string;
  program: string[];
  ended: (how: string) => void;
}

function TerminalScreen({ yard, stack, replica, program, ended }: TerminalScreenProps) {
  const { t } = useTexts();
  const box = useRef<HTMLDivElement>(null);
  const callbacks = useRef({ t, ended });
  const command = JSON.stringify(program);
  useEffect(() => {
    callbacks.current = { t, ended };
  });
  useEffect(() => {
    if (!box.current) return;
    const terminal = new Xterm({
      fontFamily: 'ui-monospace, SFMono-Regular, "DejaVu Sans Mono", monospace',
      fontSize: 13,
      screenReaderMode: true,
      theme: { background: "#101414" },
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    const element = box.current;
    withNonce(() => terminal.open(element));
    fit.fit();
    terminal.focus();

    const query = new URLSearchParams({ replica, command, tty: "true", stdin: "true" });
    const path = `/api/v1/yards/${encodeURIComponent(yard)}/stacks/${encodeURIComponent(stack)}/exec`;
    const socket = new WebSocket(`wss://${location.host}${path}?${query.toString()}`);
    // Keep the input until the connection is open.
    const waiting: string[] = [];
    const send = (input: Schemas["ExecInput"]) => {
      const text = JSON.stringify(input);
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
      else if (socket.readyState === WebSocket.CONNECTING) waiting.push(text);
    };
    const size = () => send({ resize: [terminal.rows, terminal.cols] });
    let opened = false;
    let exitReported = false;
    socket.onopen = () => {
      opened = true;
      size();
      for (const text of waiting.splice(0)) socket.send(text);
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      const output = JSON.parse(data) as Schemas["ExecOutput"];
      if ("stdout" in output) terminal.write(decodeBase64(output.stdout));
      else if ("stderr" in output) terminal.write(decodeBase64(output.stderr));
      else {
        exitReported = true;
        callbacks.current.ended(output.end.error ?? callbacks.current.t("terminal.ended", { status: output.end.status ?? "?" }));
      }
    };
    socket.onclose = () => {
      if (!exitReported) callbacks.current.ended(callbacks.current.t(opened ? "terminal.lost" : "terminal.refused"));
    };
    const typed = terminal.onData((data) => send({ input: encodeBase64(new TextEncoder().encode(data)) }));
    const resized = terminal.onResize(size);
    const watching = new ResizeObserver(() => fit.fit());
    watching.observe(element);
    return () => {
      watching.disconnect();
      typed.dispose();
      resized.dispose();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
    };
  }, [yard, stack, replica, command]);
  return <div className="terminal" ref={box} />;
}
