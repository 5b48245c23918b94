/** The form of a new yard: completes the input with defaults, and writes the equivalent `stackyard init` command. */
import type { Schemas } from "../api/client";
import { formatBytes, shellQuote } from "../format";

export type YardDraft = Required<Schemas["YardDraft"]>;
export type CloudOffer = Schemas["CloudChoices"];
export type OfferedItem = Schemas["CloudChoice"];

/** The user's input so far. It stays when the user selects another cloud. */
export type DraftInput = Partial<YardDraft>;

/** Flavors with enough disk and memory for an image, or all flavors if none has. */
export function fittingFlavors(offer: CloudOffer, image: string | null): OfferedItem[] {
  const needs = offer.images.find((one) => one.name === image);
  const fits = offer.flavors.filter((one) => !needs || ((one.disk === 0 || one.disk >= needs.disk) && one.ram >= needs.ram));
  return fits.length > 0 ? fits : offer.flavors;
}

/** The selected name if the cloud has it, else the first one. */
function offeredOrFirst(name: string | null | undefined, from: OfferedItem[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : (from[0]?.name ?? null);
}

/** The selected name if the cloud has it, else null. */
function offeredOrNone(name: string | null | undefined, from: OfferedItem[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : null;
}

/** A complete draft: the input that this cloud supports, and suitable defaults for the rest. */
export function completeDraft(entered: DraftInput, offer: CloudOffer): YardDraft {
  const hosts = entered.hosts ?? true;
  const image = offeredOrFirst(entered.image, offer.images);
  const network = offeredOrNone(entered.network, offer.networks);
  const wished = entered.external === undefined && network === null ? offeredOrFirst(null, offer.externals) : offeredOrNone(entered.external, offer.externals);
  const floating = entered.floating_ip ?? (network === null && wished !== null);
  const join = hosts ? (entered.join ?? "docker") : "docker";
  const volume = entered.data_volume?.trim() ?? "";
  return {
    name: entered.name ?? "my-yard",
    hosts,
    machine: entered.machine ?? (hosts ? "web" : "first"),
    count: entered.count ?? 1,
    image,
    flavor: offeredOrFirst(entered.flavor, fittingFlavors(offer, image)),
    network,
    cidr: entered.cidr ?? "10.20.0.0/24",
    external: network !== null && !floating ? null : wished,
    key: join === "ssh" ? null : offeredOrNone(entered.key, offer.keypairs),
    floating_ip: floating,
    data_volume: volume === "" ? null : volume,
    join,
    command: join === "command" ? (entered.command ?? "") : null,
  };
}

/** The `stackyard init` command that writes the same manifest without questions. */
export function initCommand(cloud: string, draft: YardDraft): string {
  const words = ["stackyard init", "-f", shellQuote(`${draft.name}.yaml`)];
  const say = (option: string, value: string | null) => {
    if (value !== null) words.push(`--${option}`, shellQuote(value));
  };
  const leads = draft.network === null && draft.external !== null;
  say("cloud", cloud);
  say("name", draft.name);
  say(draft.hosts ? "pool" : "server", draft.machine);
  if (draft.count !== 1) say("count", String(draft.count));
  say("image", draft.image);
  say("flavor", draft.flavor);
  if (draft.network === null) say("cidr", draft.cidr);
  else say("network", draft.network);
  if (draft.external !== null) say("external", draft.external);
  else if (draft.network === null) words.push("--no-external");
  if (draft.key !== null) say("key", draft.key);
  else if (draft.join !== "ssh") words.push("--no-key");
  if (draft.floating_ip && !leads) words.push("--floating-ip");
  if (!draft.floating_ip && leads) words.push("--no-floating-ip");
  say("data-volume", draft.data_volume);
  if (draft.join === "ssh") say("join", "ssh");
  if (draft.join === "command") say("join-command", draft.command);
  return words.join(" ");
}

/** Label of a flavor: name, memory, vCPUs and disk. */
export function flavorText(one: OfferedItem, cpus: string, noDisk: string): string {
  return [one.name, formatBytes(one.ram * 2 ** 20), cpus, one.disk === 0 ? noDisk : formatBytes(one.disk * 2 ** 30)].join(" · ");
}
