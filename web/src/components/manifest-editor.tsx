/** Editor for manifests: completes keys from the schema and marks errors. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import schema from "../../../docs/schema/yard.schema.json";
import type { Mistake } from "../api/client";
import { nonce } from "../nonce";
import { cursorPlace } from "../yaml/cursor";
import { keysAt, valuesAt, type JsonSchema } from "../yaml/schema";

const YARD_SCHEMA = schema as JsonSchema;

/** Completions at the cursor. `clouds` has the names of the server's clouds. */
export function completionsAt(context: CompletionContext, clouds: string[]): CompletionResult | null {
  const place = cursorPlace(context.state.doc.toString(), context.pos);
  if (!place || (place.word === "" && !context.explicit && place.editing === "value")) return null;
  if (place.word === "" && !context.explicit) return null;
  const from = context.pos - place.word.length;
  if (place.editing === "value") {
    const values = place.path.join(".") === "spec.cloud" ? clouds.map((value) => ({ value, about: "" })) : valuesAt(YARD_SCHEMA, place.path);
    const options = values.map(({ value, about }): Completion => ({ label: value, type: "constant", ...(about ? { info: about } : {}) }));
    return options.length === 0 ? null : { from, options };
  }
  const options = keysAt(YARD_SCHEMA, place.path).map((key, order): Completion => ({
    label: key.name,
    type: "property",
    apply: `${key.name}: `,
    boost: -order,
    ...(key.about ? { info: key.about } : {}),
    ...(key.required ? { detail: "*" } : {}),
  }));
  return options.length === 0 ? null : { from, options, validFor: /^[\w-]*$/ };
}

/** Converts a mistake to an editor diagnostic, from its position to the end of the word. */
export function editorDiagnostic(mistake: Mistake, doc: Text): Diagnostic {
  const line = doc.line(Math.min(Math.max(mistake.line ?? 1, 1), doc.lines));
  const from = Math.min(line.from + Math.max((mistake.column ?? 1) - 1, 0), line.to);
  const rest = line.text.slice(from - line.from);
  const length = mistake.line == null ? 0 : (/^[^\s,:{}[\]]+/.exec(rest)?.[0].length ?? rest.length);
  const message = mistake.hint ? `${mistake.message}; ${mistake.hint}` : mistake.message;
  return { from, to: Math.min(from + length, line.to), severity: "error", message };
}

const highlightColours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--quiet)", fontStyle: "italic" },
  { tag: [tags.keyword, tags.atom, tags.bool, tags.number], color: "var(--working)" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--quiet)" },
]);

const editorTheme = EditorView.theme({
  "&": { backgroundColor: "var(--panel)", color: "var(--text)", fontSize: "13px", height: "100%" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--page)", color: "var(--quiet)", borderRight: "1px solid var(--line-soft)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent)" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "4px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--panel)" },
  ".cm-completionInfo": { maxWidth: "360px", padding: "6px 10px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
});

export interface ManifestEditorProps {
  value: string;
  change: (text: string) => void;
  mistakes: Mistake[];
  clouds: string[];
  label: string;
  /** A new object moves the cursor there. Lines and columns count from 1. */
  goto?: { line: number; column: number } | null;
}

export default function ManifestEditor({ value, change, mistakes, clouds, label, goto }: ManifestEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ change, clouds });
  useEffect(() => {
    latest.current = { change, clouds };
  });
  const first = useRef(value);
  useEffect(() => {
    if (!place.current) return;
    const editorView = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          lineNumbers(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          drawSelection(),
          history(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          yaml(),
          syntaxHighlighting(highlightColours),
          lintGutter(),
          autocompletion({ override: [(context) => completionsAt(context, latest.current.clouds)], icons: false }),
          // Tab leaves the editor, so that the keyboard is not trapped.
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          EditorState.tabSize.of(2),
          editorTheme,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.change(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editorView;
    return () => {
      editorView.destroy();
      view.current = null;
    };
  }, [label]);
  useEffect(() => {
    const now = view.current;
    if (now && now.state.doc.toString() !== value) {
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: value } });
    }
    first.current = value;
  }, [value]);
  useEffect(() => {
    const now = view.current;
    if (now) now.dispatch(setDiagnostics(now.state, mistakes.map((mistake) => editorDiagnostic(mistake, now.state.doc))));
  }, [mistakes]);
  useEffect(() => {
    const now = view.current;
    if (!now || !goto) return;
    const line = now.state.doc.line(Math.min(Math.max(goto.line, 1), now.state.doc.lines));
    const anchor = Math.min(line.from + goto.column - 1, line.to);
    now.dispatch({ selection: { anchor }, scrollIntoView: true });
    now.focus();
  }, [goto]);
  return <div className="editor" ref={place} />;
}
