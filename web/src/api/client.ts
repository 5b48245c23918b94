/** API client with types from openapi/stackyard.json. Errors are `ApiError`. */
import createClient from "openapi-fetch";
import type { components, paths } from "./__generated__/schema";

export type Schemas = components["schemas"];
export type Host = Schemas["HostView"];
export type Stack = Schemas["StackView"];
export type Service = Schemas["ServiceStatus"];
export type Replica = Schemas["ReplicaStatus"];
export type Role = Schemas["Role"];
export type Mistake = Schemas["Diagnostic"];
export type Plan = Schemas["YardPlan"];
export type PlanStep = Schemas["PlanStep"];
export type PlanChange = Schemas["PlanChange"];

/** An error response (problem details, RFC 9457), or no response (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    /** Errors in the request's body, with their positions. */
    readonly mistakes: Mistake[] = [],
  ) {
    super(detail);
  }
}

export const api = createClient<paths>({ baseUrl: "/" });

/** Returns the data of a response, or throws an `ApiError`. */
export async function unwrap<T>(
  request: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await request.catch((reason: unknown) => {
    throw new ApiError(0, "", String(reason));
  });
  if (response.ok) return data as T;
  throw responseError(response, error);
}

/** Marker of a list's next page from the `Link` header (RFC 8288), if there is one. */
export function nextMarker(response: Response): string | undefined {
  const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  return next === undefined ? undefined : (new URL(next, "https://server/").searchParams.get("marker") ?? undefined);
}

/** Number of items per request. */
const PAGE_SIZE = 1000;

type PageQuery = { limit: number; marker?: string };

/** Reads all pages of a list. */
export async function fetchAll<T>(page: (query: PageQuery) => Promise<{ data?: T[]; error?: unknown; response: Response }>): Promise<T[]> {
  const items: T[] = [];
  for (let marker: string | undefined; ; ) {
    const request = page(marker === undefined ? { limit: PAGE_SIZE } : { limit: PAGE_SIZE, marker });
    items.push(...(await unwrap(request)));
    marker = nextMarker((await request).response);
    if (marker === undefined) return items;
  }
}

/** Converts an error response to an `ApiError`. */
export function responseError(response: Response, body: unknown): ApiError {
  const problemBody = (typeof body === "object" && body !== null ? body : {}) as Partial<Schemas["Problem"]>;
  return new ApiError(response.status, problemBody.title ?? response.statusText, problemBody.detail ?? "", problemBody.mistakes ?? []);
}

/** Converts any error to an `ApiError`. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "", String(error));
}
