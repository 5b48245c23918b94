/** Queries of the pages. A key begins with a noun of `events.ts`. */
import { QueryClient, queryOptions, useQuery } from "@tanstack/react-query";
import { graphChanges, type GraphChanges } from "../topology/changes";
import { fetchAll, api, asApiError, unwrap, type Role, type Schemas } from "./client";

/** Queries refresh when the server reports a change, not after a time. */
export function queryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: Infinity,
        refetchOnWindowFocus: false,
        retry: (count, error) => asApiError(error).status === 0 && count < 3,
      },
    },
  });
}

export const session = queryOptions({
  queryKey: ["session"],
  queryFn: async () => {
    const { data, error, response } = await api.GET("/api/v1/session");
    if (response.status === 401) return null;
    return unwrap(Promise.resolve({ data, error, response }));
  },
});

/** Values of a stack that an update can change, with the ETag. Never cached, because they may contain secrets. */
export const stackDefinition = (yard: string, stack: string) =>
  queryOptions({
    queryKey: ["definition", yard, stack],
    staleTime: 0,
    gcTime: 0,
    queryFn: async () => {
      const answer = await api.GET("/api/v1/yards/{yard}/stacks/{stack}/definition", { params: { path: { yard, stack } } });
      const { services } = await unwrap(Promise.resolve(answer));
      return { services, tag: answer.response.headers.get("etag") ?? "" };
    },
  });

/** Ways to sign in, in addition to tokens. */
export const signInOptions = queryOptions({ queryKey: ["sign-in"], queryFn: () => unwrap(api.GET("/api/v1/sign-in")) });

/** Sets the session after a sign-in or sign-out, and drops all data of the previous user. */
export function setSession(queries: QueryClient, who: Schemas["SessionView"] | null): void {
  queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
  queries.setQueryData(session.queryKey, who);
}

export const server = queryOptions({ queryKey: ["server"], queryFn: () => unwrap(api.GET("/api/v1/server")) });
export const hosts = queryOptions({ queryKey: ["hosts"], queryFn: () => fetchAll((query) => api.GET("/api/v1/hosts", { params: { query } })) });
export const stacks = queryOptions({ queryKey: ["stacks"], queryFn: () => fetchAll((query) => api.GET("/api/v1/stacks", { params: { query } })) });
export const yards = queryOptions({ queryKey: ["yards"], meta: { nouns: ["runs"] }, queryFn: () => fetchAll((query) => api.GET("/api/v1/yards", { params: { query } })) });
export const clouds = queryOptions({ queryKey: ["clouds"], queryFn: () => fetchAll((query) => api.GET("/api/v1/clouds", { params: { query } })) });

/** Images, flavors, networks and keys of a cloud. Read again each time. */
export const cloudOffer = (cloud: string) =>
  queryOptions({
    queryKey: ["offer", cloud],
    staleTime: 0,
    queryFn: () => unwrap(api.GET("/api/v1/clouds/{cloud}/offer", { params: { path: { cloud } } })),
  });

/** The cloud of the server's machine. Requires the role admin. */
export const localCloud = queryOptions({ queryKey: ["local"], queryFn: () => unwrap(api.GET("/api/v1/local")) });
export const localServices = queryOptions({ queryKey: ["local", "services"], queryFn: () => unwrap(api.GET("/api/v1/local/services")) });
export const localRuns = queryOptions({ queryKey: ["local", "runs"], queryFn: () => fetchAll((query) => api.GET("/api/v1/local/runs", { params: { query } })) });
export const localQuestions = queryOptions({ queryKey: ["local", "questions"], queryFn: () => unwrap(api.GET("/api/v1/local/questions")) });

/** State of a yard's resources, read from its cloud. */
export const yardStatus = (yard: string) =>
  queryOptions({
    queryKey: ["yards", yard, "status"],
    meta: { nouns: ["runs"] },
    queryFn: () => unwrap(api.GET("/api/v1/yards/{yard}/status", { params: { path: { yard } } })),
  });
export const runs = (yard: string) =>
  queryOptions({
    queryKey: ["runs", yard],
    queryFn: () => fetchAll((query) => api.GET("/api/v1/yards/{yard}/runs", { params: { path: { yard }, query } })),
  });
export const manifests = (yard: string) =>
  queryOptions({
    queryKey: ["yards", yard, "manifests"],
    meta: { nouns: ["runs"] },
    queryFn: () => fetchAll((query) => api.GET("/api/v1/yards/{yard}/manifests", { params: { path: { yard }, query } })),
  });
export const manifest = (yard: string, revision: number) =>
  queryOptions({
    queryKey: ["manifest", yard, revision],
    queryFn: () => unwrap(api.GET("/api/v1/yards/{yard}/manifests/{revision}", { params: { path: { yard, revision } } })),
  });
export const tokens = queryOptions({ queryKey: ["tokens"], queryFn: () => fetchAll((query) => api.GET("/api/v1/tokens", { params: { query } })) });

/** A yard's graph, with the changes since the previous one. */
export interface GraphSnapshot {
  graph: Schemas["Graph"];
  tag: string;
  changes: GraphChanges;
}

export function graphSnapshot(yard: string) {
  const queryKey = ["graph", yard];
  return queryOptions({
    queryKey,
    meta: { nouns: ["hosts", "stacks", "yards", "runs", "clouds"] },
    queryFn: async ({ client }): Promise<GraphSnapshot> => {
      const before = client.getQueryData<GraphSnapshot>(queryKey);
      const header = before ? { "If-None-Match": before.tag } : {};
      const answer = await api.GET("/api/v1/yards/{yard}/graph", { params: { path: { yard }, header } });
      if (before && answer.response.status === 304) return before;
      const graph = await unwrap(Promise.resolve(answer));
      return { graph, tag: answer.response.headers.get("etag") ?? "", changes: graphChanges(before?.graph, graph) };
    },
  });
}

/** Nouns that affect a yard's networks. */
const NETWORK_META = { nouns: ["hosts", "stacks", "yards", "runs", "clouds"] };
/** All ports of a yard, from all pages of the list. */
export const ports = (yard: string) =>
  queryOptions({
    queryKey: ["ports", yard],
    meta: NETWORK_META,
    queryFn: async (): Promise<Schemas["PortList"]> => {
      const look: Pick<Schemas["PortList"], "cloud"> = {};
      const ports = await fetchAll(async (query) => {
        const { data, error, response } = await api.GET("/api/v1/yards/{yard}/ports", { params: { path: { yard }, query } });
        if (data?.cloud) look.cloud = data.cloud;
        return { error, response, ...(data ? { data: data.ports } : {}) };
      });
      return { ...look, ports };
    },
  });
export const mtuPaths = (yard: string, underlay: number | null) =>
  queryOptions({
    queryKey: ["mtu", yard, underlay],
    meta: NETWORK_META,
    queryFn: () => unwrap(api.GET("/api/v1/yards/{yard}/mtu", { params: { path: { yard }, query: underlay === null ? {} : { underlay } } })),
  });
export const reach = (yard: string) =>
  queryOptions({
    queryKey: ["reach", yard],
    meta: NETWORK_META,
    queryFn: () => unwrap(api.GET("/api/v1/yards/{yard}/reach", { params: { path: { yard } } })),
  });

const ROLE_ORDER: Role[] = ["viewer", "operator", "admin"];

/** Whether one role includes another. */
export function roleIncludes(has: Role, needed: Role): boolean {
  return ROLE_ORDER.indexOf(has) >= ROLE_ORDER.indexOf(needed);
}

/** Whether the signed-in user has a role, or a higher one. */
export function useHasRole(needed: Role): boolean {
  const { data } = useQuery(session);
  return data != null && roleIncludes(data.role, needed);
}
