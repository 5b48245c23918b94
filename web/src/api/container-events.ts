/**
 * What happens to containers, live: the server sends each event once. After a loss of the connection the browser
 * says which one it saw last, and those since come.
 */
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import { subscribe } from "./event-source";

export type ContainerEvent = Schemas["ContainerEvent"];
export type ContainerEventKind = Schemas["Happening"];

export const CONTAINER_EVENT_KINDS: ContainerEventKind[] = ["created", "recreated", "started", "restarted", "died", "healthy", "unhealthy", "removed"];

/** Events that are kept; the oldest go first. */
export const EVENT_LIMIT = 500;

export interface ContainerEventFeed {
  /** The oldest first. */
  events: ContainerEvent[];
  /** Nobody has said yet whether there is any. */
  pending: boolean;
  /** Whether the connection is there. */
  live: boolean;
}

/** Events with more at the end, each once. */
export function appendEvents(events: ContainerEvent[], more: ContainerEvent[], keep = EVENT_LIMIT): ContainerEvent[] {
  const last = events.at(-1)?.seq ?? 0;
  const all = [...events, ...more.filter((event) => event.seq > last)];
  return all.length > keep ? all.slice(all.length - keep) : all;
}

export const stackEventsPath = (yard: string, stack: string): string => `/api/v1/yards/${encodeURIComponent(yard)}/stacks/${encodeURIComponent(stack)}/events`;
export const hostEventsPath = (id: string): string => `/api/v1/hosts/${encodeURIComponent(id)}/events`;

/** Where events of some containers and of a kind are told; of all for empty texts. */
export function eventStreamUrl(path: string, only: string, what: string): string {
  const query = new URLSearchParams({ tail: String(EVENT_LIMIT), ...(only ? { only } : {}), ...(what ? { what } : {}) });
  return `${path}/stream?${query.toString()}`;
}

/** Follows the events that are told at an address; of a component that is made anew for another address. */
export function useContainerEvents(url: string): ContainerEventFeed {
  const [happened, setHappened] = useState<ContainerEventFeed>({ events: [], pending: true, live: true });
  useEffect(() => {
    let frame = 0;
    let waiting: ContainerEvent[] = [];
    const show = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setHappened((now) => ({ events: appendEvents(now.events, more), pending: false, live: true }));
    };
    const listen = (source: EventSource) => {
      // Many come at once at first.
      source.onopen = () => { frame ||= requestAnimationFrame(show); };
      source.addEventListener("container", (event: MessageEvent<string>) => {
        waiting.push(JSON.parse(event.data) as ContainerEvent);
        frame ||= requestAnimationFrame(show);
      });
    };
    const stop = subscribe(url, listen, () => setHappened((now) => ({ ...now, live: false })));
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [url]);
  return happened;
}
