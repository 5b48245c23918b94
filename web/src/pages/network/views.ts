/** Views of the network page. */
export const NETWORK_VIEWS = ["ports", "path", "reach", "rules"] as const;
export type NetworkView = (typeof NETWORK_VIEWS)[number];
