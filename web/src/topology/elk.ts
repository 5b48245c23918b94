/** ELK, in a worker that is loaded when the first picture is laid out. */
import ELK, { type ELK as Elk, type ElkNode } from "elkjs/lib/elk-api.js";
// A file of its own: the page's policy lets no script make another.
import worker from "elkjs/lib/elk-worker.min.js?url";

let elkInstance: Elk | undefined;

export function runElk(graph: ElkNode): Promise<ElkNode> {
  elkInstance ??= new ELK({ workerFactory: () => new Worker(worker) });
  return elkInstance.layout(graph);
}
