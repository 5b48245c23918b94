import type { State } from "../api/health";
import { useTexts } from "../i18n";

const SHAPES: Record<State, React.ReactNode> = {
  ok: <><circle cx="7" cy="7" r="6" fill="currentColor" /><path d="M4.2 7.2l2 2 3.6-4" stroke="var(--panel)" strokeWidth="1.6" fill="none" /></>,
  working: <><circle cx="7" cy="7" r="5.2" stroke="currentColor" strokeWidth="1.6" fill="none" opacity="0.35" /><path className="turns" d="M7 1.8a5.2 5.2 0 0 1 5.2 5.2" stroke="currentColor" strokeWidth="1.8" fill="none" /></>,
  failing: <><path d="M7 1l6.3 11.4H.7z" fill="currentColor" strokeLinejoin="round" /><path d="M7 5v3.6M7 9.8v1.2" stroke="var(--panel)" strokeWidth="1.4" /></>,
  failed: <><path d="M4.2 1h5.6L13 4.2v5.6L9.8 13H4.2L1 9.8V4.2z" fill="currentColor" /><path d="M4.8 4.8l4.4 4.4M9.2 4.8L4.8 9.2" stroke="var(--panel)" strokeWidth="1.5" /></>,
  away: <><circle cx="7" cy="7" r="5.3" stroke="currentColor" strokeWidth="1.5" strokeDasharray="2.4 2" fill="none" /><path d="M3.5 10.5l7-7" stroke="currentColor" strokeWidth="1.5" /></>,
  drained: <><circle cx="7" cy="7" r="5.3" stroke="currentColor" strokeWidth="1.5" fill="none" /><path d="M5.4 4.8v4.4M8.6 4.8v4.4" stroke="currentColor" strokeWidth="1.5" /></>,
  waiting: <><circle cx="7" cy="7" r="5.3" stroke="currentColor" strokeWidth="1.5" fill="none" /><path d="M7 4v3.2l2 1.4" stroke="currentColor" strokeWidth="1.4" fill="none" /></>,
};

/** How something stands: a shape, a colour and a word. */
export function StateMark({ state, text }: { state: State; text?: string }) {
  const { t } = useTexts();
  return (
    <span className={`state ${state}`} data-state={state}>
      <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">{SHAPES[state]}</svg>
      {text ?? t(`state.${state}`)}
    </span>
  );
}
