/** A first manifest from a few choices: what a form makes of them, and the command line that does the same. */
import type { Schemas } from "../api/client";
import { formatBytes, shellQuote } from "../format";

export type YardDraft = Required<Schemas["YardDraft"]>;
export type CloudOffer = Schemas["Offer"];
export type OfferedItem = Schemas["Offered"];

/** What somebody has entered so far, whatever the cloud. */
export type DraftInput = Partial<YardDraft>;

/** What is offered for an image: the flavors that it fits on, or all if it fits on none. */
export function fittingFlavors(offer: CloudOffer, image: string | null): OfferedItem[] {
  const needs = offer.images.find((one) => one.name === image);
  const fits = offer.flavors.filter((one) => !needs || ((one.disk === 0 || one.disk >= needs.disk) && one.ram >= needs.ram));
  return fits.length > 0 ? fits : offer.flavors;
}

/** What was picked if it is there, else the first. */
function offeredOrFirst(name: string | null | undefined, from: OfferedItem[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : (from[0]?.name ?? null);
}

/** What was picked if it is there, else nothing. */
function offeredOrNone(name: string | null | undefined, from: OfferedItem[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : null;
}

/** All of a draft: what was entered as far as this cloud has it, and the most sensible for the rest. */
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

/** The command line that writes the same manifest, and asks nothing. */
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

/** How a flavor is offered. */
export function flavorText(one: OfferedItem, cpus: string, noDisk: string): string {
  return [one.name, formatBytes(one.ram * 2 ** 20), cpus, one.disk === 0 ? noDisk : formatBytes(one.disk * 2 ** 30)].join(" · ");
}
