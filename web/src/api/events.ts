/**
 * What changed, live: the server sends a number for each noun, which grows with its changes.
 * Those that differ from what was seen last are read again, also after the connection was lost.
 */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Schemas } from "./client";
import { subscribe } from "./event-source";

export type Revisions = Schemas["Revisions"];
export type RevisionNoun = Exclude<keyof Revisions, "server">;

/** Nouns that may have changed between two events; all of them after a restart of the server. */
export function changedNouns(before: Revisions | undefined, now: Revisions): RevisionNoun[] {
  const nouns = (Object.keys(now) as (keyof Revisions)[]).filter((n) => n !== "server");
  if (before?.server !== now.server) return nouns;
  return nouns.filter((noun) => before[noun] !== now[noun]);
}

/** Keeps all queries true; whether the connection is there. */
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
          // What depends on other nouns, too, says so.
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
