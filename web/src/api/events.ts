/**
 * Live changes: the server sends a number for each noun, which grows with each change. The browser reads the queries of
 * a noun again if its number differs from the last one, also after the connection was lost.
 */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import { subscribe } from "./event-source";

export type Revisions = Schemas["Revisions"];
export type RevisionNoun = Exclude<keyof Revisions, "server">;

/** Nouns that may have changed between two events. After a restart of the server, all of them. */
export function changedNouns(before: Revisions | undefined, now: Revisions): RevisionNoun[] {
  const nouns = (Object.keys(now) as (keyof Revisions)[]).filter((n) => n !== "server");
  if (before?.server !== now.server) return nouns;
  return nouns.filter((noun) => before[noun] !== now[noun]);
}

/** Refreshes queries when their data changes. Returns whether the connection is open. */
export function useRevisions(): boolean {
  const queries = useQueryClient();
  const [live, setLive] = useState(true);
  useEffect(() => {
    let lastSeen: Revisions | undefined;
    const listen = (source: EventSource) =>
      source.addEventListener("revisions", (event: MessageEvent<string>) => {
        const now = JSON.parse(event.data) as Revisions;
        const nouns = changedNouns(lastSeen, now);
        lastSeen = now;
        setLive(true);
        void queries.invalidateQueries({
          // A query that depends on other nouns lists them in `meta.nouns`.
          predicate: ({ queryKey, meta }) => nouns.some((noun) => queryKey[0] === noun || (meta?.nouns as RevisionNoun[] | undefined)?.includes(noun)),
        });
      });
    return subscribe("/api/v1/events", listen, (refused) => {
      setLive(false);
      // The session may have ended.
      if (refused) void queries.invalidateQueries({ queryKey: ["session"] });
    });
  }, [queries]);
  return live;
}
