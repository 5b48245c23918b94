/** Yards for tests. */
import type { Edge, Graph, Joint, Kind, Node } from "./model";

export function node(id: string, over: Partial<Node> = {}): Node {
  const [kind = "", ...name] = id.split("/");
  return { id, kind: kind.replace("-", "_") as Kind, name: name.join("/"), state: "ok", details: {}, ...over };
}

export function edge(from: string, kind: Joint, to: string): Edge {
  return { from, to, kind };
}

/** Two networks behind a router, hosts with containers of two stacks, and one of everything else. */
export function shop(hosts = 3, each = 4): Graph {
  const nodes = [
    node("network/front", { details: { mtu: "1442", cidr: "10.20.0.0/24" } }),
    node("network/back"),
    node("subnet/front/a", { parent: "network/front" }),
    node("outside/1", { kind: "network", name: "public", outside: true }),
    node("router/front"),
    node("floating-ip/web", { details: { address: "203.0.113.7" } }),
    node("load-balancer/web", { details: { address: "10.20.0.9" } }),
    node("server/db", { details: { addresses: "10.20.0.5, 10.30.0.5", flavor: "m1.tiny" } }),
    node("volume/data", { details: { size: "20Gi" } }),
    node("volume/spare"),
    node("security-group/web"),
    node("stack/site"),
    node("service/site/web", { name: "web", parent: "stack/site" }),
    node("service/site/job", { name: "job", parent: "stack/site" }),
  ];
  const edges = [
    edge("router/front", "gateway", "outside/1"),
    edge("router/front", "interface", "network/front"),
    edge("floating-ip/web", "external", "outside/1"),
    edge("floating-ip/web", "leads", "load-balancer/web"),
    edge("load-balancer/web", "vip", "network/front"),
    edge("server/db", "port", "network/front"),
    edge("server/db", "port", "network/back"),
    edge("server/db", "attachment", "volume/data"),
    edge("server/db", "security_group", "security-group/web"),
  ];
  for (let h = 1; h <= hosts; h++) {
    const host = `server/web-${h}`;
    nodes.push(node(host, { kind: "host", details: { addresses: `10.20.1.${h}`, image: "docker-host" } }));
    edges.push(edge(host, "port", "network/front"), edge("load-balancer/web", "member", host));
    for (let c = 1; c <= each; c++) {
      const service = c === each ? "job" : "web";
      nodes.push(node(`container/site/${service}-${h}-${c}`, {
        name: `${service}-${h}-${c}`, parent: host, service: `service/site/${service}`, details: { status: "running" },
      }));
    }
  }
  return { yard: "shop", cloud: { name: "local", looked: "2026-11-26T06:00:00Z" }, nodes, edges };
}

export function turned(graph: Graph, id: string, state: Node["state"]): Graph {
  return { ...graph, nodes: graph.nodes.map((n) => (n.id === id ? { ...n, state } : n)) };
}
