import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "@tanstack/react-router";
import { clouds, useHasRole, yards } from "../api/queries";
import { useTexts } from "../i18n";
import type { DraftInput } from "../components/yard-draft";
import { QueryResult } from "../components/problem";
import { YardForm } from "../components/yard-form";
import { NotFound } from "./not-found";
import { ManifestForm } from "./yard-edit";

/** A template for the manifest. The user replaces the names of the cloud's resources. */
function manifestTemplate(cloud: string | undefined): string {
  return `apiVersion: stackyard.dev/v1
kind: Yard
metadata: {name: my-yard}
spec:
  cloud: ${cloud ?? "local"}
  networks:
    - {name: front, cidr: 10.20.0.0/24, router: {external: public}}
  servers:
    - {name: web, flavor: m1.tiny, image: tiny, network: front}
`;
}

/** Creates a yard from a form or from a manifest. The form writes a manifest. */
export default function NewYardPage() {
  const { t } = useTexts();
  const canEdit = useHasRole("operator");
  const [cloudQuery, yardQuery] = [useQuery(clouds), useQuery(yards)];
  if (!canEdit) return <NotFound text={t("draft.operators")} />;
  return (
    <QueryResult query={cloudQuery}>
      {(all) => <QueryResult query={yardQuery}>{(there) => <NewYard clouds={all.map((one) => one.name)} taken={there.map((one) => one.name)} />}</QueryResult>}
    </QueryResult>
  );
}

type DraftMethod = "form" | "manifest";

function NewYard({ clouds, taken }: { clouds: string[]; taken: string[] }) {
  const { t } = useTexts();
  const [cloud, setCloud] = useState(clouds[0]);
  const [entered, enter] = useState<DraftInput>({});
  const [way, setWay] = useState<DraftMethod>(cloud === undefined ? "manifest" : "form");
  const [text, setText] = useState(() => manifestTemplate(cloud));
  // Focus the manifest that the form wrote, because the form's button is gone.
  const [written, setWritten] = useState(false);
  const go = (to: DraftMethod) => {
    setWritten(false);
    setWay(to);
  };
  const ways = cloud !== undefined && (
    <div className="end" role="group" aria-label={t("draft.way")}>
      <Button.Group>
        <Button variant={way === "form" ? "light" : "default"} aria-pressed={way === "form"} onClick={() => go("form")}>{t("draft.title")}</Button>
        <Button variant={way === "manifest" ? "light" : "default"} aria-pressed={way === "manifest"} onClick={() => go("manifest")}>{t("edit.manifest")}</Button>
      </Button.Group>
    </div>
  );
  if (way === "manifest" || cloud === undefined) {
    return <ManifestForm title={t("yards.new")} text={text} clouds={clouds} methodSwitch={ways} onTextChange={setText} focus={written} />;
  }
  return (
    <div className="page">
      <div className="head">
        <h1><span className="quiet"><Link to="/yards">{t("yards.title")}</Link> /</span> {t("yards.new")}</h1>
        {ways}
      </div>
      <YardForm
        clouds={clouds}
        taken={taken}
        cloud={cloud}
        setCloud={setCloud}
        entered={entered}
        enter={enter}
        written={(manifest) => {
          setText(manifest);
          setWritten(true);
          setWay("manifest");
        }}
      />
    </div>
  );
}
