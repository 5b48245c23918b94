import type { Schemas } from "../api/client";
import { useTexts } from "../i18n";
import { StateMark } from "./state-mark";
import { RelativeTime } from "./time";

/** Explains why cloud resources are missing or outdated, if they are. */
export function CloudNote({ cloud }: { cloud: Schemas["GraphCloud"] | null | undefined }) {
  const { t } = useTexts();
  if (!cloud) return <p className="note quiet">{t("topology.noCloud")}</p>;
  const name = cloud.name;
  if (cloud.error) {
    return (
      <div className="note">
        <StateMark state="unknown" text={cloud.observed_at ? t("topology.cloudLost", { name }) : t("topology.cloudNever", { name })} />{" "}
        {cloud.observed_at && <RelativeTime at={cloud.observed_at} />}
        <p className="why">{cloud.error}</p>
      </div>
    );
  }
  return cloud.observed_at ? null : <p className="note"><StateMark state="progressing" text={t("topology.looking", { name })} /></p>;
}
