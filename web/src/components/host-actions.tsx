import { api, get, type Host } from "../api/client";
import { shell } from "../format";
import { useTexts } from "../i18n";
import type { Question } from "./confirm-dialog";

/** What can be done with a host, as questions for `Confirm`. */
export function useHostActions() {
  const { t } = useTexts();
  const name = (host: Host) => shell(`${host.yard}/${host.name}`);
  const path = (host: Host) => ({ params: { path: { id: host.id } } });
  return {
    drain: (host: Host): Question => ({
      title: t("hosts.drainTitle", { name: host.name }),
      text: t("hosts.drainText"),
      button: t("hosts.drain"),
      command: `stackyard host drain ${name(host)}`,
      run: () => get(api.POST("/api/v1/hosts/{id}/drain", { ...path(host), body: { on: true } })),
    }),
    undrain: (host: Host) => get(api.POST("/api/v1/hosts/{id}/drain", { ...path(host), body: { on: false } })),
    remove: (host: Host): Question => ({
      title: t("hosts.removeTitle", { name: host.name }),
      text: t("hosts.removeText"),
      button: t("hosts.remove"),
      command: `stackyard host remove ${name(host)}`,
      typed: { label: t("hosts.removeConfirm"), text: host.name },
      grave: true,
      run: () => get(api.DELETE("/api/v1/hosts/{id}", path(host))),
    }),
  };
}
