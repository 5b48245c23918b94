/** Delay before the next attempt after the server refused a stream, in milliseconds. */
const RETRY_MS = 5000;

/**
 * Subscribes to the server-sent events of a URL and returns a function that stops. `listen` adds the listeners to each
 * new connection. A browser reconnects by itself, but not after an error response: then this function does. `lost` is
 * called when the connection breaks, with true after an error response.
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
