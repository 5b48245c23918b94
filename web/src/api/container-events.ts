/**
 * What happens to containers, live: the server sends each event once. After a loss of the connection the browser
 * says which one it saw last, and those since come.
 */
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import { follow } from "./event-source";

export type ContainerEvent = Schemas["ContainerEvent"];
export type Happening = Schemas["Happening"];

export const HAPPENINGS: Happening[] = ["created", "recreated", "started", "restarted", "died", "healthy", "unhealthy", "removed"];

/** Events that are kept; the oldest go first. */
export const KEEP = 500;

export interface Happened {
  /** The oldest first. */
  events: ContainerEvent[];
  /** Nobody has said yet whether there is any. */
  waits: boolean;
  /** Whether the connection is there. */
  live: boolean;
}

/** Events with more at the end, each once. */
export function withEvents(events: ContainerEvent[], more: ContainerEvent[], keep = KEEP): ContainerEvent[] {
  const last = events.at(-1)?.seq ?? 0;
  const all = [...events, ...more.filter((event) => event.seq > last)];
  return all.length > keep ? all.slice(all.length - keep) : all;
}

export const ofStack = (yard: string, stack: string): string => `/api/v1/yards/${encodeURIComponent(yard)}/stacks/${encodeURIComponent(stack)}/events`;
export const ofHost = (id: string): string => `/api/v1/hosts/${encodeURIComponent(id)}/events`;

/** Where events of some containers and of a kind are told; of all for empty texts. */
export function streamAt(path: string, only: string, what: string): string {
  const query = new URLSearchParams({ tail: String(KEEP), ...(only ? { only } : {}), ...(what ? { what } : {}) });
  return `${path}/stream?${query.toString()}`;
}

/** Follows the events that are told at an address; of a component that is made anew for another address. */
export function useHappened(url: string): Happened {
  const [happened, setHappened] = useState<Happened>({ events: [], waits: true, live: true });
  useEffect(() => {
    let frame = 0;
    let waiting: ContainerEvent[] = [];
    const show = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setHappened((now) => ({ events: withEvents(now.events, more), waits: false, live: true }));
    };
    const listen = (source: EventSource) => {
      // Many come at once at first.
      source.onopen = () => { frame ||= requestAnimationFrame(show); };
      source.addEventListener("container", (event: MessageEvent<string>) => {
        waiting.push(JSON.parse(event.data) as ContainerEvent);
        frame ||= requestAnimationFrame(show);
      });
    };
    const stop = follow(url, listen, () => setHappened((now) => ({ ...now, live: false })));
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [url]);
  return happened;
}
