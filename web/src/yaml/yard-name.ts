/** The yard's name, `metadata.name`, in a manifest that may be incomplete. */
export function yardName(text: string): string | undefined {
  const found = /^metadata:\s*(?:\{(?:[^}\n]*,)?\s*|(?:#[^\n]*)?\n(?:[ \t]+[^\n]*\n|\s*\n)*?[ \t]+)name:[ \t]*["']?([A-Za-z0-9._-]+)/m.exec(text);
  return found?.[1];
}
