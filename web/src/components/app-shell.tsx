import { Menu, SegmentedControl, useMantineColorScheme } from "@mantine/core";
import { IconCloudComputing, IconKey, IconLayoutDashboard, IconLogout, IconServer2, IconStack2, IconTopologyStar3, IconUserCircle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { api, unwrap } from "../api/client";
import { useRevisions } from "../api/events";
import { setSession, session, useHasRole } from "../api/queries";
import { useTexts } from "../i18n";
import { LanguageSwitch } from "./language-switch";

const NAV_PAGES = [
  { to: "/", key: "nav.overview", icon: IconLayoutDashboard },
  { to: "/yards", key: "nav.yards", icon: IconTopologyStar3 },
  { to: "/hosts", key: "nav.hosts", icon: IconServer2 },
  { to: "/stacks", key: "nav.stacks", icon: IconStack2 },
  { to: "/cloud", key: "nav.cloud", icon: IconCloudComputing, role: "admin" },
  { to: "/access", key: "nav.access", icon: IconKey },
] as const;

/** Navigation and content area of every page. */
export function AppShell() {
  const { t } = useTexts();
  const live = useRevisions();
  const admin = useHasRole("admin");
  return (
    <div className="frame">
      <a className="skip" href="#content">{t("skip")}</a>
      <div className="side">
        <Link to="/" className="brand"><img src="/mark.svg" width="20" height="20" alt="" /> Stackyard</Link>
        <nav aria-label={t("nav")}>
          {NAV_PAGES.filter((page) => admin || !("role" in page)).map(({ to, key, icon: Icon }) => (
            <Link key={to} to={to} className="nav" activeOptions={{ exact: to === "/" }}>
              <Icon size={17} stroke={1.6} aria-hidden />
              {t(key)}
            </Link>
          ))}
        </nav>
        <AccountMenu />
      </div>
      <main className="main" id="content" tabIndex={-1}>
        {!live && <div className="lost" role="status">{t("live.lost")}</div>}
        <Outlet />
      </main>
    </div>
  );
}

function AccountMenu() {
  const { t } = useTexts();
  const queries = useQueryClient();
  const { data: who } = useQuery(session);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/session")),
    onSuccess: () => setSession(queries, null),
  });
  if (!who) return null;
  return (
    <Menu position="top-start" width={270} closeOnItemClick={false}>
      <Menu.Target>
        <button type="button" className="account">
          <IconUserCircle size={18} stroke={1.6} aria-hidden />
          <span className="hidden">{t("menu.account")}</span>
          <span className="who">{who.name} <span className="quiet">{t(`role.${who.role}`)}</span></span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("menu.signedIn", { name: who.name })} ({t(`role.${who.role}`)})</Menu.Label>
        {who.project && <Menu.Label>{t("menu.project", { project: who.project, cloud: who.cloud ?? "" })}</Menu.Label>}
        <Menu.Label>{t("menu.language")}</Menu.Label>
        <div className="pad"><LanguageSwitch /></div>
        <Menu.Label>{t("menu.scheme")}</Menu.Label>
        <div className="pad">
          <SegmentedControl
            size="xs"
            aria-label={t("menu.scheme")}
            value={colorScheme}
            onChange={setColorScheme}
            data={[
              { value: "auto", label: t("menu.system") },
              { value: "light", label: t("menu.light") },
              { value: "dark", label: t("menu.dark") },
            ]}
          />
        </div>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => signOut.mutate()}>{t("menu.signOut")}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
