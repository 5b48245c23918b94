/** Use of the cloud's quotas by a yard and its project. */
import type { Schemas } from "../api/client";
import { formatBytes } from "../format";
import { useTexts, type TextKey } from "../i18n";

type QuotaUse = Schemas["QuotaUse"];

const QUOTA_NAMES: Record<string, TextKey> = {
  instances: "quota.instances",
  cores: "quota.cores",
  ram: "quota.ram",
  volumes: "quota.volumes",
  gigabytes: "quota.gigabytes",
  network: "quota.network",
  router: "quota.router",
  port: "quota.port",
  security_group: "quota.securityGroup",
  floatingip: "quota.floatingip",
};

/** Text for an amount of a quota. `ram` is in MiB, `gigabytes` in GiB. */
export function quotaAmount(name: string, n: number): string {
  if (name === "ram") return formatBytes(n * 2 ** 20);
  if (name === "gigabytes") return formatBytes(n * 2 ** 30);
  return String(n);
}

/** Meters of all quotas, or of those in `only`. */
export function Quotas({ quotas, only }: { quotas: QuotaUse[]; only?: string[] }) {
  const { t } = useTexts();
  const visibleQuotas = quotas.filter((quota) => only?.includes(quota.name) ?? true);
  return (
    <dl className={only ? "quotas few" : "quotas"}>
      {visibleQuotas.map((quota) => {
        const key = QUOTA_NAMES[quota.name];
        const name = key ? t(key) : quota.name;
        const limit = quota.limit ?? null;
        const share = limit ? quota.used / limit : 0;
        const own = quota.yard != null && !only ? t("quota.here", { n: quotaAmount(quota.name, quota.yard) }) : null;
        return (
          <div key={quota.name} className={share > 0.9 ? "meter high" : "meter"}>
            <dt>{name}</dt>
            <dd>
              <span className="nowrap">
                {only && quota.yard != null ? <b>{quotaAmount(quota.name, quota.yard)}</b> : quotaAmount(quota.name, quota.used)}
                {limit !== null && <span className="quiet"> / {quotaAmount(quota.name, limit)}</span>}
                {own && <span className="quiet"> ({own})</span>}
              </span>
              {limit !== null && <progress value={share} max={1} aria-label={`${name}: ${quotaAmount(quota.name, quota.used)} / ${quotaAmount(quota.name, limit)}`} />}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
