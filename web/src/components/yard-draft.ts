/** A first manifest from a few choices: what a form makes of them, and the command line that does the same. */
import type { Schemas } from "../api/client";
import { bytes, shell } from "../format";

export type Draft = Required<Schemas["YardDraft"]>;
export type Offer = Schemas["Offer"];
export type Offered = Schemas["Offered"];

/** What somebody has entered so far, whatever the cloud. */
export type Entered = Partial<Draft>;

/** What is offered for an image: the flavors that it fits on, or all if it fits on none. */
export function fitting(offer: Offer, image: string | null): Offered[] {
  const needs = offer.images.find((one) => one.name === image);
  const fits = offer.flavors.filter((one) => !needs || ((one.disk === 0 || one.disk >= needs.disk) && one.ram >= needs.ram));
  return fits.length > 0 ? fits : offer.flavors;
}

/** What was picked if it is there, else the first. */
function picked(name: string | null | undefined, from: Offered[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : (from[0]?.name ?? null);
}

/** What was picked if it is there, else nothing. */
function chosen(name: string | null | undefined, from: Offered[]): string | null {
  return from.some((one) => one.name === name) ? (name ?? null) : null;
}

/** All of a draft: what was entered as far as this cloud has it, and the most sensible for the rest. */
export function complete(entered: Entered, offer: Offer): Draft {
  const hosts = entered.hosts ?? true;
  const image = picked(entered.image, offer.images);
  const network = chosen(entered.network, offer.networks);
  const wished = entered.external === undefined && network === null ? picked(null, offer.externals) : chosen(entered.external, offer.externals);
  const floating = entered.floating_ip ?? (network === null && wished !== null);
  const join = hosts ? (entered.join ?? "docker") : "docker";
  const volume = entered.data_volume?.trim() ?? "";
  return {
    name: entered.name ?? "my-yard",
    hosts,
    machine: entered.machine ?? (hosts ? "web" : "first"),
    count: entered.count ?? 1,
    image,
    flavor: picked(entered.flavor, fitting(offer, image)),
    network,
    cidr: entered.cidr ?? "10.20.0.0/24",
    external: network !== null && !floating ? null : wished,
    key: join === "ssh" ? null : chosen(entered.key, offer.keypairs),
    floating_ip: floating,
    data_volume: volume === "" ? null : volume,
    join,
    command: join === "command" ? (entered.command ?? "") : null,
  };
}

/** The command line that writes the same manifest, and asks nothing. */
export function initCommand(cloud: string, draft: Draft): string {
  const words = ["stackyard init", "-f", shell(`${draft.name}.yaml`)];
  const say = (option: string, value: string | null) => {
    if (value !== null) words.push(`--${option}`, shell(value));
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
export function flavorWords(one: Offered, cpus: string, noDisk: string): string {
  return [one.name, bytes(one.ram * 2 ** 20), cpus, one.disk === 0 ? noDisk : bytes(one.disk * 2 ** 30)].join(" · ");
}
