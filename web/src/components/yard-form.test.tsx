import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { api } from "../api/client";
import { LanguageProvider, type Language } from "../i18n";
import { completeDraft, fittingFlavors, initCommand, type DraftInput, type CloudOffer, type OfferedItem } from "./yard-draft";
import { DraftForm } from "./yard-form";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const offered = (name: string, more: Partial<OfferedItem> = {}): OfferedItem => ({ name, description: "", vcpus: 0, disk: 0, ram: 0, shared: false, ...more });

const OFFER: CloudOffer = {
  flavors: [offered("nano", { vcpus: 1, ram: 192, disk: 1 }), offered("host", { vcpus: 2, ram: 1024, disk: 6 }), offered("diskless", { vcpus: 2, ram: 2048 })],
  images: [offered("debian", { disk: 2, ram: 512, size: 300 * 2 ** 20 }), offered("tiny", { disk: 1, ram: 64 }), offered("huge", { disk: 2, ram: 4096 })],
  externals: [offered("public"), offered("other")],
  networks: [offered("office", { mtu: 1450, shared: true })],
  keypairs: [offered("me")],
  balances: false,
  stores: false,
};
const BARE: CloudOffer = { flavors: [], images: [], externals: [], networks: [], keypairs: [], balances: false, stores: false };

test("fields without input have the most suitable value", () => {
  expect(completeDraft({}, OFFER)).toEqual({
    name: "my-yard", hosts: true, machine: "web", count: 1, image: "debian", flavor: "host", network: null, cidr: "10.20.0.0/24",
    external: "public", key: null, floating_ip: true, data_volume: null, join: "docker", command: null,
  });
  expect(completeDraft({}, BARE)).toMatchObject({ image: null, flavor: null, external: null, floating_ip: false });
  expect(fittingFlavors(OFFER, "tiny").map((one) => one.name)).toEqual(["nano", "host", "diskless"]);
  expect(fittingFlavors(OFFER, "huge").length).toBe(3);
});

test("what another cloud does not have is not kept", () => {
  const entered: DraftInput = { hosts: false, machine: "db", image: "tiny", flavor: "nano", network: "office", key: "me", external: "other", floating_ip: true, data_volume: " 2Gi ", join: "ssh" };
  expect(completeDraft(entered, OFFER)).toMatchObject({ image: "tiny", flavor: "nano", network: "office", key: "me", external: "other", data_volume: "2Gi", join: "docker", command: null });
  expect(completeDraft(entered, BARE)).toMatchObject({ image: null, network: null, key: null, external: null, machine: "db" });
  expect(completeDraft({ ...entered, floating_ip: false }, OFFER).external).toBeNull();
  expect(completeDraft({ ...entered, hosts: true }, OFFER)).toMatchObject({ join: "ssh", key: null });
});

test("the command line says the same, and leaves nothing to be asked", () => {
  const line = (entered: DraftInput, offer = OFFER) => initCommand("lab", completeDraft(entered, offer));
  expect(line({ name: "shop" })).toBe("stackyard init -f shop.yaml --cloud lab --name shop --pool web --image debian --flavor host --cidr 10.20.0.0/24 --external public --no-key");
  expect(line({ hosts: false, machine: "db", count: 3, network: "office", key: "me", floating_ip: true })).toBe(
    "stackyard init -f my-yard.yaml --cloud lab --name my-yard --server db --count 3 --image debian --flavor host --network office --key me --floating-ip",
  );
  expect(line({ floating_ip: false, join: "ssh", data_volume: "4Gi" })).toMatch(/--external public --no-floating-ip --data-volume 4Gi --join ssh$/);
  expect(line({ external: null, floating_ip: false, join: "command", command: "curl x | sh" })).toMatch(/--no-external --no-key --join-command 'curl x \| sh'$/);
  expect(line({}, BARE)).toBe("stackyard init -f my-yard.yaml --cloud lab --name my-yard --pool web --cidr 10.20.0.0/24 --no-external --no-key");
});

/** Renders the form with a fake server. */
function show(answer: (sent: Record<string, unknown>) => unknown, language: Language = "en") {
  const asked: Record<string, unknown>[] = [];
  vi.spyOn(api, "POST").mockImplementation((async (_: string, { body }: { body: Record<string, unknown> }) => {
    asked.push(body);
    return Promise.resolve({ data: answer(body), response: new Response() });
  }) as never);
  const written = vi.fn();
  function Form() {
    const [entered, enter] = useState<DraftInput>({});
    return <DraftForm clouds={["lab"]} taken={["shop"]} cloud="lab" setCloud={() => undefined} entered={entered} enter={enter} written={written} offer={OFFER} />;
  }
  render(
    <MantineProvider env="test">
      <LanguageProvider initial={language}><QueryClientProvider client={new QueryClient()}><Form /></QueryClientProvider></LanguageProvider>
    </MantineProvider>,
  );
  return { asked, written };
}

test("a mistake is at its field, which has the focus, until the field changes", async () => {
  const { asked, written } = show(({ cidr }) => (cidr === "10.9.0.0/24" ? { manifest: "kind: Yard\n", faults: [] } : { manifest: null, faults: [{ field: "cidr", message: "no address", hint: "write `10.0.0.0/24`" }] }));
  const cidr = screen.getByLabelText("Address range (CIDR)");
  fireEvent.change(cidr, { target: { value: "10.0.0.1/24" } });
  await userEvent.click(screen.getByRole("button", { name: "Write the manifest" }));
  await screen.findByText("no address; write `10.0.0.0/24`");
  await waitFor(() => expect(document.activeElement).toBe(cidr));
  fireEvent.change(cidr, { target: { value: "10.9.0.0/24" } });
  expect(screen.queryByText(/no address/)).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: "Write the manifest" }));
  await waitFor(() => expect(written).toHaveBeenCalledWith("kind: Yard\n"));
  expect(asked.map((one) => one.cidr)).toEqual(["10.0.0.1/24", "10.9.0.0/24"]);
});

test("a taken name is reported before a request is sent", async () => {
  const { asked } = show(() => ({}));
  const name = screen.getByLabelText("Yard name");
  fireEvent.change(name, { target: { value: "shop" } });
  screen.getByText("A yard with this name exists. Choose another name.");
  await userEvent.click(screen.getByRole("button", { name: "Write the manifest" }));
  expect(document.activeElement).toBe(name);
  expect(asked).toEqual([]);
});

test("fields are those that mean something", async () => {
  show(() => ({}), "zh");
  const options = (label: string) => [...screen.getByLabelText<HTMLSelectElement>(label).options].map((one) => one.text);
  expect(options("镜像")).toEqual(["debian · 300 MiB", "tiny", "huge"]);
  expect(options("实例类型")).toEqual(["host · 1.0 GiB · 2 个 CPU · 6.0 GiB", "diskless · 2.0 GiB · 2 个 CPU · 无磁盘"]);
  await userEvent.selectOptions(screen.getByLabelText("网络"), "office");
  expect(screen.queryByLabelText("地址范围（CIDR）")).toBeNull();
  expect(screen.queryByLabelText("外部网络")).toBeNull();
  await userEvent.click(screen.getByLabelText("浮动 IP"));
  expect(options("外部网络")[0]).toBe("唯一合适的网络");
  await userEvent.selectOptions(screen.getByLabelText("加入方式"), "command");
  screen.getByLabelText("命令");
  await userEvent.selectOptions(screen.getByLabelText("机器"), "servers");
  expect(screen.queryByLabelText("加入方式")).toBeNull();
  expect(screen.getByLabelText<HTMLInputElement>("云服务器名称").value).toBe("first");
});
