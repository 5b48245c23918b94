import type { Replica, Service } from "../api/client";
import { isJob } from "../api/health";
import { useTexts, type TextKey } from "../i18n";
import { StateMark } from "./state-mark";

const REPLICA_STATES = ["created", "restarting", "paused", "missing", "held", "unknown"] as const;

/** Key of a container that is unique in its stack. Each host may have a container number 1 of the same service. */
export function replicaKey(replica: Replica): string {
  return `${replica.name}@${replica.host_name}`;
}

/** State and health of a container. */
export function ContainerState({ replica, service }: { replica: Replica; service: Service }) {
  const { t } = useTexts();
  return (
    <>
      <StateMark state={replica.health} text={replicaStateText(replica, service, t)} />
      {replica.reason && <div className="why">{replica.reason}</div>}
    </>
  );
}

function replicaStateText(replica: Replica, service: Service, t: (key: TextKey, values?: Record<string, string | number>) => string): string {
  if (replica.state === "running") {
    if (replica.healthy === true) return `${t("container.running")}, ${t("container.healthy")}`;
    return replica.healthy === false ? t("container.unhealthy") : t("container.running");
  }
  if (replica.state === "exited") {
    if (isJob(service) && replica.status === 0) return t("container.done");
    return t("container.exited", { status: replica.status ?? "?" });
  }
  const word = REPLICA_STATES.find((w) => w === replica.state);
  return word ? t(`container.${word}`) : replica.state;
}
