import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { AccessPage } from "./pages/access";
import { HostPage } from "./pages/host";
import { HostsPage } from "./pages/hosts";
import { Missing } from "./pages/missing";
import { OverviewPage } from "./pages/overview";
import { StackPage } from "./pages/stack";
import { StacksPage } from "./pages/stacks";
import { Shell } from "./parts/shell";

const root = createRootRoute({ component: Shell, notFoundComponent: () => <Missing /> });
const overview = createRoute({ getParentRoute: () => root, path: "/", component: OverviewPage });
const hosts = createRoute({ getParentRoute: () => root, path: "/hosts", component: HostsPage });
const host = createRoute({ getParentRoute: () => root, path: "/hosts/$id", component: HostPage });
const stacks = createRoute({ getParentRoute: () => root, path: "/stacks", component: StacksPage });
const stack = createRoute({
  getParentRoute: () => root,
  path: "/stacks/$yard/$name",
  component: StackPage,
  validateSearch: (search: Record<string, unknown>): { logs?: string } => ({
    ...(typeof search.logs === "string" ? { logs: search.logs } : {}),
  }),
});
const access = createRoute({ getParentRoute: () => root, path: "/access", component: AccessPage });

export const router = createRouter({
  routeTree: root.addChildren([overview, hosts, host, stacks, stack, access]),
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
