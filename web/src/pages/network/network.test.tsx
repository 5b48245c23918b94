import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState, type ReactNode } from "react";
import { afterEach, expect, test } from "vitest";
import type { Schemas } from "../../api/client";
import { session } from "../../api/queries";
import { LanguageProvider, type Language } from "../../i18n";
import { parseMtu, MtuPaths } from "./mtu";
import { filterPorts, PortTable } from "./ports";
import { ReachSummary } from "./reach";
import { textDifference, RuleFields, ruleRequests, type RuleRow } from "./rules";

afterEach(cleanup);

async function show(node: ReactNode, role: "viewer" | "operator" = "operator", language: Language = "en") {
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  queries.setQueryData(session.queryKey, { name: "ann", role } as Schemas["SessionView"]);
  const root = createRootRoute();
  const router = createRouter({ routeTree: root.addChildren([createRoute({ getParentRoute: () => root, path: "/", component: () => node })]), history: createMemoryHistory() });
  const made = render(
    <MantineProvider env="test">
      <LanguageProvider initial={language}>
        <QueryClientProvider client={queries}><RouterProvider router={router as never} /></QueryClientProvider>
      </LanguageProvider>
    </MantineProvider>,
  );
  await screen.findAllByText(/\S/);
  return made;
}

function port(id: string, more: Partial<Schemas["PortView"]> = {}): Schemas["PortView"] {
  return {
    id, name: "", kind: "server", owner: { name: id, node: `server/${id}` }, network: "front", network_id: "n1", addresses: [`10.0.0.${id.length}`], mac: "fa:16:3e:00:00:01",
    mtu: 1442, port_security: true, security_groups: ["web"], floating_ips: [], status: "ACTIVE", health: "ready", ...more,
  };
}

test("ports are found by the text of any column", () => {
  const all = [port("web"), port("db-1", { security_groups: ["db"], floating_ips: ["203.0.113.7"] }), port("r", { kind: "router", network_id: "n2" })];
  const found = (text: string, more = {}) => filterPorts(all, { text, network: "", without: new Set(), ...more }).map((p) => p.id);
  expect(found("")).toEqual(["web", "db-1", "r"]);
  expect(found("DB 203.0")).toEqual(["db-1"]);
  expect(found("web")).toEqual(["web", "r"]);
  expect(found("", { network: "n2" })).toEqual(["r"]);
  expect(found("", { without: new Set(["server"]) })).toEqual(["r"]);
});

test("a port shows its owner, and whether its groups are enforced", async () => {
  const all = [port("web", { owner: { name: "web", host: "h1" } }), port("db", { port_security: false, security_groups: [] }), port("x", { owner: null, kind: "unused" })];
  await show(<PortTable yard="shop" all={all} network="" setNetwork={() => undefined} />);
  expect(screen.getByRole("link", { name: "web" }).getAttribute("href")).toBe("/hosts/h1");
  expect(screen.getByRole("link", { name: "db" }).getAttribute("href")).toContain("/yards/shop/picture?node=server%2Fdb");
  expect(screen.getByText("not enforced")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: /^unused/ }));
  expect(screen.getByRole("status").textContent).toBe("2 ports");
});

function hop(place: Schemas["MtuHop"]["place"], more: Partial<Schemas["MtuHop"]>): Schemas["MtuHop"] {
  return { place, name: "", basis: "neutron", verdict: "fits", ...more };
}

test("a path shows where it breaks", async () => {
  const hops = [
    hop("underlay", { name: "tunnels", set: 1500, basis: "at_least" }),
    hop("network", { name: "front", set: 1442, fits: 1442, layer: "Geneve over IPv4", overhead: 58, formula: "IPv4 20 + UDP 8" }),
    hop("containers", { set: 1500, fits: 1442, layer: "flat", overhead: 0, verdict: "too_large" }),
  ];
  const path: Schemas["MtuPath"] = { network: "front", kind: "host", of: [{ name: "h1", host: "1" }], chain: { hops, lets_in: 1500, carries: 1442, breaks: true } };
  const { container } = await show(<MtuPaths yard="shop" paths={[path]} />);
  expect(screen.getByText("1 path drops large packets")).toBeTruthy();
  expect(screen.getByText("58 bytes too large, maximum 1442")).toBeTruthy();
  expect(screen.getByText("The path accepts packets of 1500 bytes but drops those over 1442 bytes.")).toBeTruthy();
  expect(screen.getByText("Geneve over IPv4: −58 = IPv4 20 + UDP 8")).toBeTruthy();
  expect(container.querySelectorAll(".layers .layers .layers.wrong").length).toBe(1);
  expect([parseMtu(" 9000 "), parseMtu("67"), parseMtu("65536"), parseMtu("15e2"), parseMtu("")]).toEqual([9000, null, null, null, null]);
});

const TABLE: Schemas["ReachTable"] = {
  sources: [{ id: "anywhere", kind: "anywhere", name: "", count: 0 }, { id: "server/web", kind: "server", name: "web", count: 2 }],
  targets: [{ id: "server/web", kind: "server", name: "web", count: 2, doors: ["203.0.113.7"] }, { id: "server/db", kind: "server", name: "db", count: 1 }],
  cells: [
    { from: "anywhere", to: "server/web", grants: [{ what: "tcp 80", by: [{ kind: "rule", text: "web: tcp 80 from anywhere" }], some: true }] },
    { from: "server/web", to: "server/db", grants: [{ what: "everything", by: [{ kind: "open" }] }] },
  ],
};

test("reachability, with the rule that allows it", async () => {
  await show(<ReachSummary yard="shop" table={TABLE} declared={["web"]} />);
  expect(screen.getByRole("columnheader", { name: /server db/ }).textContent).toContain("no floating IP");
  expect(screen.getAllByText("nothing").length).toBe(2);
  await userEvent.click(screen.getByRole("button", { name: /^Anywhere → server web \(2\): ?tcp 80 \*$/ }));
  const why = screen.getByRole("region", { name: "Anywhere → server web (2)" });
  expect(why.textContent).toContain("web: tcp 80 from anywhere");
  expect(within(why).getByRole("link", { name: "Change web" }).getAttribute("href")).toContain("view=rules&group=web");
  await userEvent.click(screen.getByRole("button", { name: /^server web .* everything$/ }));
  expect(screen.getByText("port security is off")).toBeTruthy();
});

test("a viewer gets no link to change rules", async () => {
  await show(<ReachSummary yard="shop" table={TABLE} declared={["web"]} />, "viewer");
  await userEvent.click(screen.getByRole("button", { name: /^Anywhere/ }));
  expect(screen.queryByRole("link", { name: "Change web" })).toBeNull();
});

test("rules are changed in a form; mistakes are at their fields", async () => {
  let rows: RuleRow[] = [{ id: 0, was: 0, rule: { proto: "tcp", port: "80", egress: false, peer: "", ipv6: null } }];
  function Here() {
    const [all, set] = useState(rows);
    rows = all;
    return <RuleFields rows={all} change={set} faults={[{ rule: 0, field: "port", message: "no port", hint: "as 80" }]} names={["web"]} canEdit />;
  }
  await show(<Here />);
  expect(screen.getByText("no port; as 80")).toBeTruthy();
  const port = screen.getByLabelText("Port or range");
  expect(port.getAttribute("aria-invalid")).toBe("true");
  await userEvent.clear(port);
  await userEvent.type(port, "443");
  await userEvent.click(screen.getByRole("button", { name: "Add a rule" }));
  const added = within(screen.getByRole("listitem", { name: "Rule 2" }));
  await userEvent.type(added.getByLabelText("Source: CIDR or group"), "web");
  await userEvent.selectOptions(added.getByLabelText("Direction"), "egress");
  expect(ruleRequests(rows)).toEqual([
    { was: 0, rule: { proto: "tcp", port: "443", egress: false, peer: "", ipv6: null } },
    { rule: { proto: "tcp", port: "", egress: true, peer: "web", ipv6: null } },
  ]);
  await userEvent.click(screen.getByRole("button", { name: "Remove rule 1" }));
  expect(ruleRequests(rows).map((one) => one.was)).toEqual([undefined]);
});

test("the difference of two texts, line by line", () => {
  expect(textDifference("a\nb\nc\n", "a\nB\nb2\nc\n")).toEqual({ gone: ["b"], come: ["B", "b2"], line: 2 });
  expect(textDifference("a\n", "a\n")).toEqual({ gone: [], come: [], line: 3 });
});
