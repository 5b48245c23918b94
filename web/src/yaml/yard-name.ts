/** The name of the yard of a manifest that may not be whole: `metadata.name`. */
export function yardName(text: string): string | undefined {
  const found = /^metadata:\s*(?:\{(?:[^}\n]*,)?\s*|(?:#[^\n]*)?\n(?:[ \t]+[^\n]*\n|\s*\n)*?[ \t]+)name:[ \t]*["']?([A-Za-z0-9._-]+)/m.exec(text);
  return found?.[1];
}
