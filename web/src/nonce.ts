/** The nonce that the server gave this page for `<style>` elements made by libraries. */
export function nonce(): string {
  return document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
}
