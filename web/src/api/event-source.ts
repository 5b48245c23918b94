/** Time until a stream that the server refused is asked for again, in milliseconds. */
const RETRY_MS = 5000;

/**
 * Server-sent events of an address, for as long as somebody listens; returns how to stop. Listeners are added in `listen`,
 * anew for each connection. A browser comes back by itself, but not where the server answered something else:
 * `lost` is told whether it did.
 */
export function subscribe(url: string, listen: (source: EventSource) => void, lost: (refused: boolean) => void): () => void {
  let source: EventSource;
  let again: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource(url);
    listen(source);
    source.onerror = () => {
      const refused = source.readyState === EventSource.CLOSED;
      lost(refused);
      if (refused) again = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
