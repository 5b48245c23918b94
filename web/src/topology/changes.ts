/** Differences between two graphs of a yard. */
import type { HealthState } from "../api/health";
import type { Graph, GraphNode } from "./model";

export interface GraphChanges {
  added: string[];
  removed: string[];
  /** Nodes whose state changed, with the previous state. */
  stateChanged: { id: string; from: HealthState }[];
}

export const NO_CHANGES: GraphChanges = { added: [], removed: [], stateChanged: [] };

export function graphChanges(before: Graph | undefined, now: Graph): GraphChanges {
  if (!before) return NO_CHANGES;
  const previous = new Map<string, GraphNode>(before.nodes.map((n) => [n.id, n]));
  const changes: GraphChanges = { added: [], removed: [], stateChanged: [] };
  for (const node of now.nodes) {
    const last = previous.get(node.id);
    previous.delete(node.id);
    if (!last) changes.added.push(node.id);
    else if (last.health !== node.health) changes.stateChanged.push({ id: node.id, from: last.health });
  }
  changes.removed = [...previous.keys()];
  return changes;
}
