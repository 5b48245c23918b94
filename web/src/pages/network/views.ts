/** What of a yard's networks a page shows. */
export const NETWORK_VIEWS = ["ports", "path", "reach", "rules"] as const;
export type NetworkView = (typeof NETWORK_VIEWS)[number];
