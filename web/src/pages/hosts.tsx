import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconDotsVertical, IconPlus } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Host } from "../api/client";
import { containerCount } from "../api/health";
import { hosts, useHasRole } from "../api/queries";
import { useTexts } from "../i18n";
import { CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { useHostActions } from "../components/host-actions";
import { JoinHost } from "../components/join-host";
import { UsageMeter } from "../components/meter";
import { QueryResult, Problem } from "../components/problem";
import { ReplaceHost } from "../components/replace-host";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";

export function HostsPage() {
  const { t } = useTexts();
  const query = useQuery(hosts);
  const canEdit = useHasRole("operator");
  const [joining, setJoining] = useState(false);
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const [replacing, setReplacing] = useState<string | null>(null);
  const actions = useHostActions();
  const undrain = useMutation({ mutationFn: actions.undrain });
  return (
    <div className="page">
      <div className="head">
        <h1>{t("hosts.title")}</h1>
        {canEdit && <div className="end"><Button leftSection={<IconPlus size={15} />} onClick={() => setJoining(true)}>{t("hosts.join")}</Button></div>}
      </div>
      {undrain.error && <Problem error={undrain.error} />}
      <section className="panel">
        <QueryResult query={query}>
          {(all) => all.length === 0 ? <p className="empty">{t("hosts.empty")}</p> : (
            <table className="rows cards">
              <thead>
                <tr>
                  <th scope="col">{t("hosts.name")}</th>
                  <th scope="col">{t("hosts.state")}</th>
                  <th scope="col">{t("hosts.memory")}</th>
                  <th scope="col">{t("hosts.disk")}</th>
                  <th scope="col" className="num">{t("hosts.load")}</th>
                  <th scope="col" className="num">{t("hosts.containers")}</th>
                  <th scope="col">{t("hosts.seen")}</th>
                  {canEdit && <th scope="col"><span className="hidden">{t("stack.tools")}</span></th>}
                </tr>
              </thead>
              <tbody>
                {all.map((host) => (
                  <HostRow
                    key={host.id}
                    host={host}
                    menu={canEdit && (
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <ActionIcon variant="subtle" color="gray" aria-label={t("hosts.actions", { name: host.name })}><IconDotsVertical size={16} /></ActionIcon>
                        </Menu.Target>
                        <Menu.Dropdown>
                          {host.drain
                            ? <Menu.Item onClick={() => undrain.mutate(host)}>{t("hosts.undrain")}</Menu.Item>
                            : <Menu.Item onClick={() => setQuestion(actions.drain(host))}>{t("hosts.drain")}</Menu.Item>}
                          <Menu.Item onClick={() => setReplacing(host.id)}>{t("hosts.replace")}</Menu.Item>
                          <Menu.Item c="var(--bad)" onClick={() => setQuestion(actions.remove(host))}>{t("hosts.remove")}</Menu.Item>
                        </Menu.Dropdown>
                      </Menu>
                    )}
                  />
                ))}
              </tbody>
            </table>
          )}
        </QueryResult>
      </section>
      <CommandLine text="stackyard host list" />
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
      <ReplaceHost host={query.data?.find((one) => one.id === replacing)} close={() => setReplacing(null)} />
      <JoinHost opened={joining} close={() => setJoining(false)} />
    </div>
  );
}

function HostRow({ host, menu }: { host: Host; menu: React.ReactNode }) {
  const { t } = useTexts();
  const usage = host.report?.usage;
  const cpus = host.facts.cpus;
  const none = <span className="quiet">{t("hosts.noReport")}</span>;
  return (
    <tr>
      <td className="full">
        <Link to="/hosts/$id" params={{ id: host.id }} className="strong">{host.name}</Link>
        <div className="quiet">{[host.yard, host.pool, host.address].filter(Boolean).join(" · ")}</div>
      </td>
      <td data-label={t("hosts.state")}><StateMark state={host.health} />{host.reason && <div className="why">{host.reason}</div>}{host.replace && <div className="quiet">{t("hosts.marked")}</div>}</td>
      <td data-label={t("hosts.memory")}>{usage ? <UsageMeter used={usage.memory} all={host.facts.memory} label={`${t("hosts.memory")} ${host.name}`} /> : none}</td>
      <td data-label={t("hosts.disk")}>{usage ? <UsageMeter used={usage.disk_used} all={usage.disk} label={`${t("hosts.disk")} ${host.name}`} /> : none}</td>
      <td data-label={t("hosts.load")} className="num nowrap">{usage ? (usage.load / 100).toFixed(2) : "–"} <span className="quiet">/ {t("hosts.cpus", { n: cpus })}</span></td>
      <td data-label={t("hosts.containers")} className="num">{host.report ? containerCount(host) : "–"}</td>
      <td data-label={t("hosts.seen")}><RelativeTime at={host.last_seen} /></td>
      {menu && <td className="corner"><div className="tools">{menu}</div></td>}
    </tr>
  );
}
