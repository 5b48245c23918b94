/** Texts in the user's language: the browser's, or the one chosen here, which the browser stores. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { en } from "./en";
import { zh } from "./zh";

export type Language = "en" | "zh";
export type TextKey = keyof typeof en;
export type TextValues = Record<string, string | number>;

const TEXTS: Record<Language, Record<TextKey, string>> = { en, zh };
const STORAGE_KEY = "stackyard.language";

/** The first language in the browser's list that has texts. */
export function preferredLanguage(languages: readonly string[]): Language {
  const known = languages.map((l) => l.slice(0, 2).toLowerCase()).find((l) => l === "en" || l === "zh");
  return known === "zh" ? "zh" : "en";
}

/** Fills a text's placeholders. `n` selects from `one|many`. */
export function fillText(text: string, values: TextValues): string {
  const [one, many] = text.split("|");
  const chosen = many === undefined || values.n === 1 ? (one ?? "") : many;
  return chosen.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

interface Texts {
  language: Language;
  choose: (language: Language) => void;
  t: (key: TextKey, values?: TextValues) => string;
}

const Context = createContext<Texts | null>(null);

export function LanguageProvider({ children, initial }: { children: ReactNode; initial?: Language }) {
  const [language, setLanguage] = useState<Language>(() => {
    const kept = localStorage.getItem(STORAGE_KEY);
    return initial ?? (kept === "en" || kept === "zh" ? kept : preferredLanguage(navigator.languages));
  });
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  const choose = useCallback((chosen: Language) => {
    localStorage.setItem(STORAGE_KEY, chosen);
    setLanguage(chosen);
  }, []);
  const texts = useMemo<Texts>(
    () => ({ language, choose, t: (key, values = {}) => fillText(TEXTS[language][key], values) }),
    [language, choose],
  );
  return <Context value={texts}>{children}</Context>;
}

export function useTexts(): Texts {
  const texts = useContext(Context);
  if (!texts) throw new Error("no LanguageProvider");
  return texts;
}
