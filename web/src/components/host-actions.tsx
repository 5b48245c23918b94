import { api, unwrap, type Host } from "../api/client";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import type { ConfirmRequest } from "./confirm-dialog";

/** Actions on a host, as requests for `ConfirmDialog`. */
export function useHostActions() {
  const { t } = useTexts();
  const name = (host: Host) => shellQuote(`${host.yard}/${host.name}`);
  const path = (host: Host) => ({ params: { path: { id: host.id } } });
  return {
    drain: (host: Host): ConfirmRequest => ({
      title: t("hosts.drainTitle", { name: host.name }),
      text: t("hosts.drainText"),
      button: t("hosts.drain"),
      command: `stackyard host drain ${name(host)}`,
      run: () => unwrap(api.POST("/api/v1/hosts/{id}/drain", { ...path(host), body: { on: true } })),
    }),
    undrain: (host: Host) => unwrap(api.POST("/api/v1/hosts/{id}/drain", { ...path(host), body: { on: false } })),
    remove: (host: Host): ConfirmRequest => ({
      title: t("hosts.removeTitle", { name: host.name }),
      text: t("hosts.removeText"),
      button: t("hosts.remove"),
      command: `stackyard host remove ${name(host)}`,
      typed: { label: t("hosts.removeConfirm"), text: host.name },
      destructive: true,
      run: () => unwrap(api.DELETE("/api/v1/hosts/{id}", path(host))),
    }),
  };
}
