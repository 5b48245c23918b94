/**
 * Live events of containers. The server sends each event once. After a lost connection, the browser sends the id of the
 * last event, and the server continues from there.
 */
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import { subscribe } from "./event-source";

export type ContainerEvent = Schemas["ContainerEvent"];
export type ContainerEventKind = Schemas["ContainerEventKind"];

export const CONTAINER_EVENT_KINDS: ContainerEventKind[] = ["created", "recreated", "started", "restarted", "died", "healthy", "unhealthy", "removed"];

/** Maximum number of events in memory. The oldest go first. */
export const EVENT_LIMIT = 500;

export interface ContainerEventFeed {
  /** Oldest first. */
  events: ContainerEvent[];
  /** The server has not answered yet. */
  pending: boolean;
  /** Whether the connection is open. */
  live: boolean;
}

/** Appends new events, each once, and drops the oldest above the limit. */
export function appendEvents(events: ContainerEvent[], more: ContainerEvent[], keep = EVENT_LIMIT): ContainerEvent[] {
  const last = events.at(-1)?.seq ?? 0;
  const all = [...events, ...more.filter((event) => event.seq > last)];
  return all.length > keep ? all.slice(all.length - keep) : all;
}

export const stackEventsPath = (yard: string, stack: string): string => `/api/v1/yards/${encodeURIComponent(yard)}/stacks/${encodeURIComponent(stack)}/events`;
export const hostEventsPath = (id: string): string => `/api/v1/hosts/${encodeURIComponent(id)}/events`;

/** URL of a stream of events, filtered by container and kind. An empty text is no filter. */
export function eventStreamUrl(path: string, only: string, kind: string): string {
  const query = new URLSearchParams({ tail: String(EVENT_LIMIT), ...(only ? { only } : {}), ...(kind ? { kind } : {}) });
  return `${path}/stream?${query.toString()}`;
}

/** Follows the events at a URL. Mount the component again for another URL. */
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
      // The first events arrive together, so render them in one frame.
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
