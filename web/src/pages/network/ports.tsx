/** The ports of a yard's networks. */
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import type { Schemas } from "../../api/client";
import { ports } from "../../api/queries";
import { useTexts } from "../../i18n";
import { CloudNote } from "../../components/cloud-note";
import { CommandLine } from "../../components/command-line";
import { QueryResult } from "../../components/problem";
import { StateMark } from "../../components/state-mark";

type NetworkPort = Schemas["PortView"];
type PortKind = NetworkPort["kind"];

const PORT_KINDS: PortKind[] = ["server", "host", "container", "load_balancer", "router", "floating_ip", "dhcp", "unused", "other"];
/** Number of rows before "Show all". */
const INITIAL_ROWS = 200;

export interface PortFilter {
  text: string;
  network: string;
  /** Kinds to hide. */
  without: ReadonlySet<PortKind>;
}

/** Ports that match a filter. The text may be in any column. */
export function filterPorts(all: NetworkPort[], { text, network, without }: PortFilter): NetworkPort[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return all.filter((port) => {
    if (without.has(port.kind) || (network !== "" && port.network_id !== network)) return false;
    const fields = [port.name, port.owner?.name, port.network, port.mac, port.status, ...port.addresses, ...port.floating_ips, ...port.security_groups];
    const rowText = fields.join("\n").toLowerCase();
    // Short words match too many ids, so only longer words search them.
    return words.every((word) => rowText.includes(word) || (word.length >= 6 && port.id.startsWith(word)));
  });
}

export function PortsView({ yard }: { yard: string }) {
  const query = useQuery(ports(yard));
  const [network, setNetwork] = useState("");
  const networkName = query.data?.ports.find((port) => port.network_id === network)?.network;
  return (
    <>
      <section className="panel">
        <QueryResult query={query}>{(list) => <><CloudNote cloud={list.cloud} /><PortTable yard={yard} all={list.ports} network={network} setNetwork={setNetwork} /></>}</QueryResult>
      </section>
      <CommandLine text={`stackyard net ports -f yard.yaml${networkName === undefined ? "" : ` --network ${networkName}`}`} />
    </>
  );
}

interface PortTableProps {
  yard: string;
  all: NetworkPort[];
  network: string;
  setNetwork: (id: string) => void;
}

export function PortTable({ yard, all, network, setNetwork }: PortTableProps) {
  const { t } = useTexts();
  const [text, setText] = useState("");
  const [without, setWithout] = useState<ReadonlySet<PortKind>>(new Set());
  const [showAll, setShowAll] = useState(false);
  const visiblePorts = filterPorts(all, { text: useDeferredValue(text), network, without });
  if (all.length === 0) return <p className="empty">{t("net.noPorts")}</p>;
  const networks = new Map(all.map((port) => [port.network_id, port.network]));
  const count = (kind: PortKind) => all.filter((port) => port.kind === kind).length;
  const toggle = (kind: PortKind) => {
    const other = new Set(without);
    if (!other.delete(kind)) other.add(kind);
    setWithout(other);
  };
  return (
    <>
      <div className="controls">
        <TextInput className="text" value={text} onChange={(e) => setText(e.currentTarget.value)} leftSection={<IconSearch size={14} />} aria-label={t("net.filter")} placeholder={t("net.filterHint")} />
        <NativeSelect aria-label={t("net.network")} value={network} onChange={(e) => setNetwork(e.currentTarget.value)} data={[{ value: "", label: t("net.allNetworks") }, ...[...networks].map(([value, label]) => ({ value, label }))]} />
        <div className="choices" role="group" aria-label={t("net.kinds")}>
          {PORT_KINDS.filter((kind) => count(kind) > 0).map((kind) => (
            <button key={kind} type="button" className="choice" aria-pressed={!without.has(kind)} onClick={() => toggle(kind)}>{t(`net.kind.${kind}`)} <span className="quiet">{count(kind)}</span></button>
          ))}
        </div>
        <span className="quiet end" role="status">{t("net.ports", { n: visiblePorts.length })}</span>
      </div>
      {visiblePorts.length === 0 ? <p className="empty">{t("topology.nothing")}</p> : (
        <table className="rows cards ports">
          <thead>
            <tr>
              <th scope="col">{t("net.kind")}</th>
              <th scope="col">{t("net.of")}</th>
              <th scope="col">{t("net.network")}</th>
              <th scope="col">{t("net.addresses")}</th>
              <th scope="col">{t("net.mac")}</th>
              <th scope="col" className="num">{t("net.mtu")}</th>
              <th scope="col">{t("net.groups")}</th>
              <th scope="col">{t("net.floating")}</th>
              <th scope="col">{t("net.status")}</th>
            </tr>
          </thead>
          <tbody>{visiblePorts.slice(0, showAll ? visiblePorts.length : INITIAL_ROWS).map((port) => <PortRow key={port.id} yard={yard} port={port} />)}</tbody>
        </table>
      )}
      {!showAll && visiblePorts.length > INITIAL_ROWS && <p className="pad"><Button variant="default" onClick={() => setShowAll(true)}>{t("topology.all", { n: visiblePorts.length })}</Button></p>}
    </>
  );
}

function PortRow({ yard, port }: { yard: string; port: NetworkPort }) {
  const { t } = useTexts();
  return (
    <tr>
      <td data-label={t("net.kind")} className="nowrap">{t(`net.kind.${port.kind}`)}</td>
      <td data-label={t("net.of")}>
        <OwnerLink yard={yard} owner={port.owner} />
        {port.name !== "" && port.name !== port.owner?.name && <div className="quiet mono name">{port.name}</div>}
      </td>
      <td data-label={t("net.network")}>{port.network}</td>
      <td data-label={t("net.addresses")} className="mono">{port.addresses.map((address) => <div key={address}>{address}</div>)}</td>
      <td data-label={t("net.mac")} className="mono nowrap">{port.mac || "–"}</td>
      <td data-label={t("net.mtu")} className="num">{port.mtu ?? "–"}</td>
      <td data-label={t("net.groups")}>
        {port.port_security
          ? port.security_groups.length === 0 ? <span className="quiet">{t("none")}</span> : <span className="tags">{port.security_groups.map((name) => <span key={name} className="tag">{name}</span>)}</span>
          : <span className="quiet">{t("net.notEnforced")}</span>}
      </td>
      <td data-label={t("net.floating")} className="mono">{port.floating_ips.join(", ") || "–"}</td>
      <td data-label={t("net.status")}><StateMark state={port.health} text={port.status || t(`state.${port.health}`)} /></td>
    </tr>
  );
}

/** Name of an owner, linked to the host's page or to the topology. */
export function OwnerLink({ yard, owner }: { yard: string; owner: Schemas["PortOwner"] | null | undefined }) {
  if (!owner) return "–";
  if (owner.host != null) return <Link className="strong" to="/hosts/$id" params={{ id: owner.host }}>{owner.name}</Link>;
  if (owner.node != null) return <Link className="strong" to="/yards/$yard/picture" params={{ yard }} search={{ node: owner.node }}>{owner.name}</Link>;
  return <span className="strong">{owner.name}</span>;
}
