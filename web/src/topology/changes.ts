/** What is not as it was. */
import type { State } from "../api/health";
import type { Graph, Node } from "./model";

export interface Changes {
  added: string[];
  removed: string[];
  /** Those whose state is another, with what it was. */
  turned: { id: string; from: State }[];
}

export const NONE: Changes = { added: [], removed: [], turned: [] };

export function changes(before: Graph | undefined, now: Graph): Changes {
  if (!before) return NONE;
  const known = new Map<string, Node>(before.nodes.map((n) => [n.id, n]));
  const found: Changes = { added: [], removed: [], turned: [] };
  for (const node of now.nodes) {
    const last = known.get(node.id);
    known.delete(node.id);
    if (!last) found.added.push(node.id);
    else if (last.state !== node.state) found.turned.push({ id: node.id, from: last.state });
  }
  found.removed = [...known.keys()];
  return found;
}
