import type { Schemas } from "../api/client";
import { useTexts } from "../i18n";
import { StateMark } from "./state-mark";
import { Ago } from "./time";

/** What is wrong with the look at the cloud, if anything is. */
export function CloudNote({ cloud }: { cloud: Schemas["GraphCloud"] | null | undefined }) {
  const { t } = useTexts();
  if (!cloud) return <p className="note quiet">{t("picture.noCloud")}</p>;
  const name = cloud.name;
  if (cloud.error) {
    return (
      <div className="note">
        <StateMark state="away" text={cloud.looked ? t("picture.cloudLost", { name }) : t("picture.cloudNever", { name })} />{" "}
        {cloud.looked && <Ago at={cloud.looked} />}
        <p className="why">{cloud.error}</p>
      </div>
    );
  }
  return cloud.looked ? null : <p className="note"><StateMark state="working" text={t("picture.looking", { name })} /></p>;
}
