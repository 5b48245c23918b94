/** The graph of a yard, and the scene to draw: filtered, grouped and sorted into lanes. Pure functions. */
import type { Schemas } from "../api/client";
import { worstState, type HealthState } from "../api/health";

export type Graph = Schemas["Graph"];
export type GraphNode = Schemas["GraphNode"];
export type GraphEdge = Schemas["GraphEdge"];
export type NodeKind = Schemas["GraphKind"];
export type EdgeKind = Schemas["GraphEdgeKind"];

/** Kinds in the order of the list view. */
export const NODE_KINDS: NodeKind[] = [
  "network", "subnet", "router", "floating_ip", "load_balancer", "host", "server", "volume",
  "security_group", "server_group", "keypair", "object_container", "stack", "service", "container",
];

/** A graph with lookup tables. */
export interface GraphIndex {
  graph: Graph;
  nodes: Map<string, GraphNode>;
  /** Child nodes by the id of their parent. */
  parts: Map<string, GraphNode[]>;
  /** Containers by the id of their service. */
  containers: Map<string, GraphNode[]>;
  /** Edges by the id of either end. */
  edges: Map<string, GraphEdge[]>;
}

function pushTo<T>(map: Map<string, T[]>, key: string, value: T): void {
  const all = map.get(key);
  if (all) all.push(value);
  else map.set(key, [value]);
}

export function indexGraph(graph: Graph): GraphIndex {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  const found: GraphIndex = { graph, nodes, parts: new Map(), containers: new Map(), edges: new Map() };
  for (const node of graph.nodes) {
    if (node.parent) pushTo(found.parts, node.parent, node);
    if (node.service) pushTo(found.containers, node.service, node);
  }
  for (const edge of graph.edges) {
    pushTo(found.edges, edge.from, edge);
    if (edge.to !== edge.from) pushTo(found.edges, edge.to, edge);
  }
  return found;
}

/** Filter of the diagram and the list. */
export interface GraphFilter {
  /** Case-insensitive text in names or details. A match includes its children. */
  text: string;
  /** Kinds to hide. */
  without: ReadonlySet<NodeKind>;
  /** States to show. Empty shows all. */
  states: ReadonlySet<HealthState>;
}

export const NO_FILTER: GraphFilter = { text: "", without: new Set(), states: new Set() };

function nodeContains(node: GraphNode, text: string): boolean {
  if (node.name.toLowerCase().includes(text)) return true;
  return Object.values(node.details ?? {}).some((value) => value.toLowerCase().includes(text));
}

/** Ids of the nodes that match. */
export function matchingNodes({ graph, nodes }: GraphIndex, filter: GraphFilter): Set<string> {
  const text = filter.text.trim().toLowerCase();
  const textMatches = new Map<string, boolean>();
  const matchesText = (node: GraphNode): boolean => {
    let cached = textMatches.get(node.id);
    if (cached === undefined) {
      const above = [node.parent, node.service].map((id) => (id ? nodes.get(id) : undefined));
      cached = nodeContains(node, text) || above.some((n) => n !== undefined && matchesText(n));
      textMatches.set(node.id, cached);
    }
    return cached;
  };
  const found = graph.nodes.filter(
    (n) =>
      !filter.without.has(n.kind) &&
      (filter.states.size === 0 || filter.states.has(n.health)) &&
      (text === "" || matchesText(n)),
  );
  return new Set(found.map((n) => n.id));
}

/** Whether to draw each container, or one item for a service's containers on a host. */
export type Grouping = "services" | "containers";

/** Up to this number, each container is drawn by default. */
export const SINGLE_LIMIT = 80;

export function defaultGrouping(graph: Graph): Grouping {
  return graph.nodes.filter((n) => n.kind === "container").length > SINGLE_LIMIT ? "services" : "containers";
}

/** An item in a box: a container, a group of them, a volume, or a service of a stack. */
export interface SceneChip {
  id: string;
  kind: NodeKind;
  name: string;
  state: HealthState;
  /** Of a group: the number of ready containers, and all containers. */
  works?: number;
  members?: GraphNode[];
}

/** A host, server, load balancer or other node, with its chips. */
export interface SceneBox {
  node: GraphNode;
  chips: SceneChip[];
}

/** A network with its boxes. The lane without a node has the machines that are in no network. */
export interface SceneLane {
  id: string;
  node: GraphNode | null;
  boxes: SceneBox[];
}

/** A line between two drawn nodes. */
export interface SceneLine {
  from: string;
  to: string;
  kind: EdgeKind;
  /** Drawn only while one of its ends is selected. */
  quiet: boolean;
}

/** Everything to draw. */
export interface Scene {
  /** External networks, drawn as bars at the top. */
  bars: GraphNode[];
  routers: GraphNode[];
  floating: GraphNode[];
  lanes: SceneLane[];
  /** Boxes without a network. */
  shelf: SceneBox[];
  lines: SceneLine[];
}

/** Id of the lane of machines that are in no network of the cloud. */
export const MACHINES_LANE = "machines";

const naturalOrder = new Intl.Collator("en", { numeric: true });

export function byName(a: { name: string }, b: { name: string }): number {
  return naturalOrder.compare(a.name, b.name);
}

/** Id of the group of a service's containers on a host. */
export function groupId(service: string, host: string): string {
  return `group/${host}/${service}`;
}

/** Id of the node that contains a container: its host, else its stack. */
export function drawnParent(container: GraphNode): string {
  return container.parent ?? `stack/${(container.service ?? "").split("/")[1] ?? ""}`;
}

/** The containers of a group, by the group's id. */
export function groupOf({ graph }: GraphIndex, id: string): GraphNode[] | undefined {
  if (!id.startsWith("group/")) return undefined;
  const all = graph.nodes.filter((n) => n.service && groupId(n.service, drawnParent(n)) === id);
  return all.length > 0 ? all : undefined;
}

/** Whether a container is ready. */
export function isReady(node: GraphNode): boolean {
  return node.health === "ready";
}

/** Name of a container with its stack, because one host runs several stacks. */
export function fullName(node: GraphNode): string {
  const [, stack] = (node.service ?? "").split("/");
  return stack === undefined ? node.name : `${stack}/${node.name}`;
}

function containerChips(all: GraphNode[], host: string, grouping: Grouping, opened: ReadonlySet<string>): SceneChip[] {
  const services = new Map<string, GraphNode[]>();
  all.forEach((node) => pushTo(services, node.service ?? "", node));
  return [...services].flatMap(([service, members]): SceneChip[] => {
    const id = groupId(service, host);
    if (grouping === "containers" || members.length === 1 || opened.has(id)) {
      return members.map((n) => ({ id: n.id, kind: n.kind, name: fullName(n), state: n.health })).sort(byName);
    }
    const [, stack = "", name = ""] = service.split("/");
    return [{
      id, kind: "container", name: `${stack}/${name}`, state: worstState(members.map((n) => n.health)),
      works: members.filter(isReady).length, members: [...members].sort(byName),
    }];
  });
}

/** Sorts the matching nodes into lanes. `opened` has the ids of expanded groups. */
export function buildScene(index: GraphIndex, filter: GraphFilter, grouping: Grouping, opened: ReadonlySet<string>): Scene {
  const { graph, nodes, parts, edges } = index;
  const visible = matchingNodes(index, filter);
  const of = (kind: NodeKind) => graph.nodes.filter((n) => n.kind === kind);
  const ends = (node: GraphNode, kind: EdgeKind) =>
    (edges.get(node.id) ?? []).filter((e) => e.kind === kind && e.from === node.id).map((e) => e.to);

  const attached = new Set<string>();
  const box = (node: GraphNode): SceneBox | undefined => {
    const containers = (parts.get(node.id) ?? []).filter((n) => n.kind === "container" && visible.has(n.id));
    const chips = containerChips(containers, node.id, grouping, opened);
    for (const id of ends(node, "attachment")) {
      const volume = nodes.get(id);
      if (!volume || attached.has(id)) continue;
      attached.add(id);
      if (visible.has(id)) chips.push({ id, kind: "volume", name: volume.name, state: volume.health });
    }
    return visible.has(node.id) || chips.length > 0 ? { node, chips } : undefined;
  };

  const lanes = new Map<string, SceneLane>();
  const lane = (id: string) => {
    let found = lanes.get(id);
    if (!found) {
      found = { id, node: nodes.get(id) ?? null, boxes: [] };
      lanes.set(id, found);
    }
    return found;
  };
  for (const network of of("network").filter((n) => !n.outside && visible.has(n.id)).sort(byName)) lane(network.id);
  const shelf: SceneBox[] = [];
  for (const balancer of of("load_balancer").filter((n) => visible.has(n.id)).sort(byName)) {
    const [network] = ends(balancer, "vip");
    if (network === undefined) shelf.push({ node: balancer, chips: [] });
    else lane(network).boxes.push({ node: balancer, chips: [] });
  }
  for (const server of [...of("host"), ...of("server")].sort(byName)) {
    const made = box(server);
    if (!made) continue;
    const [network] = ends(server, "port");
    lane(network ?? MACHINES_LANE).boxes.push(made);
  }
  for (const stack of of("stack").sort(byName)) {
    const chips: SceneChip[] = [];
    for (const service of (parts.get(stack.id) ?? []).filter((n) => n.kind === "service")) {
      const homeless = (index.containers.get(service.id) ?? []).filter((n) => !n.parent && visible.has(n.id));
      if (visible.has(service.id)) chips.push({ id: service.id, kind: "service", name: service.name, state: service.health });
      chips.push(...containerChips(homeless, stack.id, grouping, opened));
    }
    if (visible.has(stack.id) || chips.length > 0) shelf.push({ node: stack, chips });
  }
  for (const kind of ["volume", "object_container", "security_group", "server_group", "keypair"] as const) {
    for (const node of of(kind).sort(byName)) {
      if (visible.has(node.id) && !attached.has(node.id)) shelf.push({ node, chips: [] });
    }
  }
  // An external network without machines is a bar, and only if something leads to it.
  const routers = of("router").filter((n) => visible.has(n.id)).sort(byName);
  const floating = of("floating_ip").filter((n) => visible.has(n.id)).sort(byName);
  const led = new Set([...routers.flatMap((n) => ends(n, "gateway")), ...floating.flatMap((n) => ends(n, "external"))]);
  const bars = of("network").filter((n) => n.outside && !lanes.has(n.id) && led.has(n.id)).sort(byName);
  const routed = new Set(routers.flatMap((n) => ends(n, "interface")));
  const made = { bars, routers, floating, lanes: sortLanes([...lanes.values()], routed), shelf };
  return { ...made, lines: sceneLines(index, made) };
}

/** Order: networks with a router, other networks, external networks, machines without a network. */
function sortLanes(lanes: SceneLane[], routed: ReadonlySet<string>): SceneLane[] {
  const rank = (lane: SceneLane) => (lane.node === null ? 3 : lane.node.outside ? 2 : routed.has(lane.id) ? 0 : 1);
  return lanes.sort((a, b) => rank(a) - rank(b) || naturalOrder.compare(a.node?.name ?? "", b.node?.name ?? ""));
}

/** A load balancer with more members shows its lines only while it is selected. */
const MEMBER_LIMIT = 12;

function sceneLines({ graph, edges }: GraphIndex, made: Omit<Scene, "lines">): SceneLine[] {
  const drawn = new Set<string>();
  const at = new Map<string, string>();
  for (const node of [...made.bars, ...made.routers, ...made.floating]) drawn.add(node.id);
  for (const lane of made.lanes) {
    drawn.add(lane.id);
    for (const box of lane.boxes) at.set(box.node.id, lane.id);
  }
  for (const box of [...made.lanes.flatMap((l) => l.boxes), ...made.shelf]) drawn.add(box.node.id);
  const quiet = (edge: GraphEdge): boolean => {
    if (["security_group", "server_group", "keypair"].includes(edge.kind)) return true;
    const of = edge.kind === "member" ? (edges.get(edge.from) ?? []).filter((e) => e.kind === "member") : [];
    return of.length > MEMBER_LIMIT;
  };
  // A box in its network's lane needs no line to it.
  const inside = (edge: GraphEdge) => (edge.kind === "port" || edge.kind === "vip") && at.get(edge.from) === edge.to;
  return graph.edges
    .filter((e) => e.kind !== "attachment" && !inside(e) && drawn.has(e.from) && drawn.has(e.to))
    .map((e) => ({ from: e.from, to: e.to, kind: e.kind, quiet: quiet(e) }));
}

/** Counts nodes by kind or health. */
export function countBy<K extends "kind" | "health">(graph: Graph, by: K): Map<GraphNode[K], number> {
  const counts = new Map<GraphNode[K], number>();
  for (const node of graph.nodes) counts.set(node[by], (counts.get(node[by]) ?? 0) + 1);
  return counts;
}

/** Text below a node's name. */
export function subtitle(node: GraphNode): string {
  const details = node.details ?? {};
  switch (node.kind) {
    case "network":
      return [details.cidr, details.mtu ? `MTU ${details.mtu}` : ""].filter(Boolean).join(" · ");
    case "host":
    case "server":
      return [details.addresses?.split(", ")[0], details.flavor].filter(Boolean).join(" · ");
    case "floating_ip":
    case "load_balancer":
      return [details.address, details.listeners].filter(Boolean).join(" · ");
    case "volume":
      return [details.size, details.type].filter(Boolean).join(" · ");
    case "stack":
      return details.containers ?? "";
    case "security_group":
      return details.rules ?? "";
    case "server_group":
      return details.policy ?? "";
    default:
      return "";
  }
}
