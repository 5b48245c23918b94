/** Runs ELK in a worker, which loads with the first layout. */
import ELK, { type ELK as Elk, type ElkNode } from "elkjs/lib/elk-api.js";
// A separate file, because the page's policy forbids scripts from blobs.
import worker from "elkjs/lib/elk-worker.min.js?url";

let elkInstance: Elk | undefined;

export function runElk(graph: ElkNode): Promise<ElkNode> {
  elkInstance ??= new ELK({ workerFactory: () => new Worker(worker) });
  return elkInstance.layout(graph);
}
