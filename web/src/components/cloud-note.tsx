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
        <StateMark state="away" text={cloud.looked ? t("topology.cloudLost", { name }) : t("topology.cloudNever", { name })} />{" "}
        {cloud.looked && <RelativeTime at={cloud.looked} />}
        <p className="why">{cloud.error}</p>
      </div>
    );
  }
  return cloud.looked ? null : <p className="note"><StateMark state="working" text={t("topology.looking", { name })} /></p>;
}
