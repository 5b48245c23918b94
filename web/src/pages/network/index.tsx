/** The network page of a yard: ports, MTU, reachability and rules. */
import "./network.css";
import { Button } from "@mantine/core";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useTexts } from "../../i18n";
import { MtuView } from "./mtu";
import { PortsView } from "./ports";
import { ReachView } from "./reach";
import { RulesView } from "./rules";
import { NETWORK_VIEWS } from "./views";

export default function NetworkPage() {
  const { t } = useTexts();
  const navigate = useNavigate();
  const { yard } = useParams({ from: "/yards/$yard/network" });
  const { view = "ports", group } = useSearch({ from: "/yards/$yard/network" });
  const params = { yard };
  return (
    <div className="page network">
      <div className="head">
        <h1>
          <span className="quiet"><Link to="/yards">{t("yards.title")}</Link> / <Link to="/yards/$yard" params={params}>{yard}</Link> /</span> {t("net.title")}
        </h1>
        <div className="end">
          <Button.Group>
            {NETWORK_VIEWS.map((one) => (
              <Button key={one} variant={one === view ? "light" : "default"} aria-pressed={one === view} onClick={() => void navigate({ to: "/yards/$yard/network", params, search: { view: one } })}>{t(`net.view.${one}`)}</Button>
            ))}
          </Button.Group>
        </div>
      </div>
      {view === "ports" && <PortsView key={yard} yard={yard} />}
      {view === "path" && <MtuView key={yard} yard={yard} />}
      {view === "reach" && <ReachView key={yard} yard={yard} />}
      {view === "rules" && <RulesView key={`${yard} ${group ?? ""}`} yard={yard} group={group} />}
    </div>
  );
}
