import type { HealthState } from "../api/health";
import { useTexts } from "../i18n";
import { STATE_SHAPES } from "./state-shapes";

/** Icon of a state, in the colour of the text around it. */
export function StateShape({ state, size = 14 }: { state: HealthState; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 14 14" aria-hidden="true">
      {STATE_SHAPES[state].map((shape) => {
        const ink = shape.ground ? "var(--panel)" : "currentColor";
        return (
          <path
            key={shape.d}
            d={shape.d}
            fill={shape.fill ? ink : "none"}
            {...(shape.fill ? {} : { stroke: ink, strokeWidth: shape.width ?? 1.5 })}
            {...(shape.dash ? { strokeDasharray: shape.dash } : {})}
            {...(shape.faint ? { opacity: 0.35 } : {})}
            {...(shape.turns ? { className: "turns" } : {})}
          />
        );
      })}
    </svg>
  );
}

/** A state as icon, colour and word. */
export function StateMark({ state, text }: { state: HealthState; text?: string }) {
  const { t } = useTexts();
  return (
    <span className={`state ${state}`} data-state={state}>
      <StateShape state={state} />
      {text ?? t(`state.${state}`)}
    </span>
  );
}
