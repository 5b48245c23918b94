import { lazy, Suspense } from "react";
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { CLOUD_VIEWS, type CloudView } from "./api/local-cloud";
import { NETWORK_VIEWS, type NetworkView } from "./pages/network/views";
import { AccessPage } from "./pages/access";
import { HostPage } from "./pages/host";
import { HostsPage } from "./pages/hosts";
import { NotFound } from "./pages/not-found";
import { OverviewPage } from "./pages/overview";
import { YardRunPage } from "./pages/yard-run";
import { StackPage } from "./pages/stack";
import { StacksPage } from "./pages/stacks";
import { YARD_PAGE_VIEWS, YardPage, type YardPageView } from "./pages/yard";
import { EditYardPage } from "./pages/yard-edit";
import { YardsPage } from "./pages/yards";
import { AppShell } from "./components/app-shell";

const root = createRootRoute({ component: AppShell, notFoundComponent: () => <NotFound /> });
const overview = createRoute({ getParentRoute: () => root, path: "/", component: OverviewPage });
const yards = createRoute({ getParentRoute: () => root, path: "/yards", component: YardsPage });
const NewYard = lazy(() => import("./pages/yard-new"));
const newYard = createRoute({
  getParentRoute: () => root,
  path: "/yards/new",
  component: () => <Suspense><NewYard /></Suspense>,
});
const yard = createRoute({
  getParentRoute: () => root,
  path: "/yards/$yard",
  component: YardPage,
  validateSearch: (search: Record<string, unknown>): { view?: YardPageView } => {
    const view = YARD_PAGE_VIEWS.find((one) => one === search.view);
    return view ? { view } : {};
  },
});
const editYard = createRoute({
  getParentRoute: () => root,
  path: "/yards/$yard/edit",
  component: EditYardPage,
  validateSearch: (search: Record<string, unknown>): { revision?: number } => ({
    ...(typeof search.revision === "number" ? { revision: search.revision } : {}),
  }),
});
const run = createRoute({ getParentRoute: () => root, path: "/yards/$yard/runs/$run", component: YardRunPage });
const hosts = createRoute({ getParentRoute: () => root, path: "/hosts", component: HostsPage });
const host = createRoute({ getParentRoute: () => root, path: "/hosts/$id", component: HostPage });
const stacks = createRoute({ getParentRoute: () => root, path: "/stacks", component: StacksPage });
const stack = createRoute({
  getParentRoute: () => root,
  path: "/stacks/$yard/$name",
  component: StackPage,
  validateSearch: (search: Record<string, unknown>): { logs?: string; events?: string } => ({
    ...(typeof search.logs === "string" ? { logs: search.logs } : {}),
    ...(typeof search.events === "string" ? { events: search.events } : {}),
  }),
});
const Topology = lazy(() => import("./pages/topology"));
const topology = createRoute({
  getParentRoute: () => root,
  // The path is older than the page's name; bookmarks use it.
  path: "/yards/$yard/picture",
  component: () => <Suspense><Topology /></Suspense>,
  validateSearch: (search: Record<string, unknown>): { node?: string } => ({
    ...(typeof search.node === "string" ? { node: search.node } : {}),
  }),
});
const Network = lazy(() => import("./pages/network"));
const network = createRoute({
  getParentRoute: () => root,
  path: "/yards/$yard/network",
  component: () => <Suspense><Network /></Suspense>,
  validateSearch: (search: Record<string, unknown>): { view?: NetworkView; group?: string } => {
    const view = NETWORK_VIEWS.find((one) => one === search.view);
    return { ...(view ? { view } : {}), ...(typeof search.group === "string" ? { group: search.group } : {}) };
  },
});
const Cloud = lazy(() => import("./pages/cloud"));
const cloud = createRoute({
  getParentRoute: () => root,
  path: "/cloud",
  component: () => <Suspense><Cloud /></Suspense>,
  validateSearch: (search: Record<string, unknown>): { view?: CloudView; logs?: string } => {
    const view = CLOUD_VIEWS.find((one) => one === search.view);
    return { ...(view ? { view } : {}), ...(typeof search.logs === "string" ? { logs: search.logs } : {}) };
  },
});
const CloudChange = lazy(() => import("./pages/cloud-change"));
const cloudChange = createRoute({
  getParentRoute: () => root,
  path: "/cloud/change",
  component: () => <Suspense><CloudChange /></Suspense>,
});
const CloudRun = lazy(() => import("./pages/cloud-run"));
const cloudRun = createRoute({
  getParentRoute: () => root,
  path: "/cloud/runs/$run",
  component: () => <Suspense><CloudRun /></Suspense>,
});
const access = createRoute({ getParentRoute: () => root, path: "/access", component: AccessPage });

export const router = createRouter({
  routeTree: root.addChildren([overview, yards, newYard, yard, editYard, run, hosts, host, stacks, stack, topology, network, cloud, cloudChange, cloudRun, access]),
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
