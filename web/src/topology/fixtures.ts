/** Graphs for tests. */
import type { GraphEdge, Graph, EdgeKind, NodeKind, GraphNode } from "./model";

export function testNode(id: string, over: Partial<GraphNode> = {}): GraphNode {
  const [kind = "", ...name] = id.split("/");
  return { id, kind: kind.replace("-", "_") as NodeKind, name: name.join("/"), health: "ready", details: {}, ...over };
}

export function testEdge(from: string, kind: EdgeKind, to: string): GraphEdge {
  return { from, to, kind };
}

/** Two networks behind a router, hosts with containers, and one of each other kind. */
export function shopGraph(hosts = 3, each = 4): Graph {
  const nodes = [
    testNode("network/front", { details: { mtu: "1442", cidr: "10.20.0.0/24" } }),
    testNode("network/back"),
    testNode("subnet/front/a", { parent: "network/front" }),
    testNode("outside/1", { kind: "network", name: "public", outside: true }),
    testNode("router/front"),
    testNode("floating-ip/web", { details: { address: "203.0.113.7" } }),
    testNode("load-balancer/web", { details: { address: "10.20.0.9" } }),
    testNode("server/db", { details: { addresses: "10.20.0.5, 10.30.0.5", flavor: "m1.tiny" } }),
    testNode("volume/data", { details: { size: "20Gi" } }),
    testNode("volume/spare"),
    testNode("security-group/web"),
    testNode("stack/site"),
    testNode("service/site/web", { name: "web", parent: "stack/site" }),
    testNode("service/site/job", { name: "job", parent: "stack/site" }),
  ];
  const edges = [
    testEdge("router/front", "gateway", "outside/1"),
    testEdge("router/front", "interface", "network/front"),
    testEdge("floating-ip/web", "external", "outside/1"),
    testEdge("floating-ip/web", "leads", "load-balancer/web"),
    testEdge("load-balancer/web", "vip", "network/front"),
    testEdge("server/db", "port", "network/front"),
    testEdge("server/db", "port", "network/back"),
    testEdge("server/db", "attachment", "volume/data"),
    testEdge("server/db", "security_group", "security-group/web"),
  ];
  for (let h = 1; h <= hosts; h++) {
    const host = `server/web-${h}`;
    nodes.push(testNode(host, { kind: "host", details: { addresses: `10.20.1.${h}`, image: "docker-host" } }));
    edges.push(testEdge(host, "port", "network/front"), testEdge("load-balancer/web", "member", host));
    for (let c = 1; c <= each; c++) {
      const service = c === each ? "job" : "web";
      nodes.push(testNode(`container/site/${service}-${h}-${c}`, {
        name: `${service}-${h}-${c}`, parent: host, service: `service/site/${service}`, details: { status: "running" },
      }));
    }
  }
  return { yard: "shop", cloud: { name: "local", observed_at: "2026-11-26T06:00:00Z" }, nodes, edges };
}

export function withState(graph: Graph, id: string, health: GraphNode["health"]): Graph {
  return { ...graph, nodes: graph.nodes.map((n) => (n.id === id ? { ...n, health } : n)) };
}
