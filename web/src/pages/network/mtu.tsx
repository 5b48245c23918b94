/** MTU of a yard's paths, layer by layer. */
import { TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { mtuPaths } from "../../api/queries";
import { useTexts } from "../../i18n";
import { CloudNote } from "../../components/cloud-note";
import { CommandLine } from "../../components/command-line";
import { QueryResult } from "../../components/problem";
import { StateMark } from "../../components/state-mark";
import { OwnerLink } from "./ports";

type MtuPath = Schemas["MtuPath"];
type MtuHop = Schemas["MtuHop"];

/** Maximum number of names per path. */
const MAX_NAMES = 12;

/** Parses an MTU of 68 to 65535 bytes. Null if it is invalid. */
export function parseMtu(text: string): number | null {
  const n = /^\d+$/.test(text.trim()) ? Number(text.trim()) : NaN;
  return n >= 68 && n <= 65_535 ? n : null;
}

export function MtuView({ yard }: { yard: string }) {
  const { t } = useTexts();
  const [text, setText] = useState("");
  const [calm] = useDebouncedValue(text, 300);
  const underlay = parseMtu(calm);
  const query = useQuery({ ...mtuPaths(yard, underlay), placeholderData: keepPreviousData });
  return (
    <>
      <section className="panel">
        <div className="controls">
          <TextInput
            className="text wide-text"
            label={t("net.underlay")}
            description={t("net.underlayHint")}
            inputMode="numeric"
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            error={text.trim() !== "" && parseMtu(text) === null ? t("net.underlayBad") : null}
          />
        </div>
        <QueryResult query={query}>{(all) => <><CloudNote cloud={all.cloud} /><MtuPaths yard={yard} paths={all.paths} /></>}</QueryResult>
      </section>
      <CommandLine text={`stackyard net path -f yard.yaml${underlay === null ? "" : ` --underlay ${underlay}`}`} />
    </>
  );
}

export function MtuPaths({ yard, paths }: { yard: string; paths: MtuPath[] }) {
  const { t } = useTexts();
  const broken = paths.filter((path) => path.chain.breaks).length;
  if (paths.length === 0) return <p className="empty">{t("net.noPaths")}</p>;
  return (
    <>
      <p className="pad" role="status">
        {broken > 0 ? <StateMark state="degraded" text={t("net.breaks", { n: broken })} /> : <StateMark state="ready" text={t("net.allFits")} />}
      </p>
      <ul className="paths">
        {paths.map((path) => (
          <li key={`${path.kind} ${path.network ?? ""} ${path.of[0]?.name ?? ""}`} aria-label={path.of[0]?.name}>
            <h2>{t(`net.path.${path.kind === "host" || path.kind === "container" ? path.kind : "server"}`, { n: path.of.length })} <OwnerNames yard={yard} of={path.of} /></h2>
            <PathLayers hops={path.chain.hops} />
            <p className={path.chain.breaks ? "why" : "quiet"}>
              {path.chain.breaks
                ? t("net.vanish", { n: path.chain.carries ?? "?", most: path.chain.lets_in ?? "?" })
                : path.chain.carries == null ? t("net.carriesUnknown") : t("net.carries", { n: path.chain.carries })}
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}

function OwnerNames({ yard, of }: { yard: string; of: MtuPath["of"] }) {
  return (
    <span className="names">
      {of.slice(0, MAX_NAMES).map((owner, at) => <span key={owner.node ?? owner.host ?? owner.name}>{at > 0 && ", "}<OwnerLink yard={yard} owner={owner} /></span>)}
      {of.length > MAX_NAMES && ` … ${of.length - MAX_NAMES}`}
    </span>
  );
}

/** The first layer, with the other layers nested in it. */
function PathLayers({ hops }: { hops: MtuHop[] }) {
  const { t } = useTexts();
  const [hop, ...inner] = hops;
  if (!hop) return null;
  const size = hop.set ?? hop.fits;
  const wrong = hop.verdict === "too_large";
  return (
    <ol className={wrong ? "layers wrong" : "layers"}>
      <li>
        <div className="layer">
          <span className="strong">{t(`net.layer.${hop.place}`)}{hop.name !== "" && ` ${hop.place === "underlay" && hop.name === "tunnels" ? t("net.tunnels") : hop.name}`}</span>
          <span className="mono size">{size ?? "?"}{hop.basis === "at_least" && size != null && <span className="quiet"> {t("net.atLeast")}</span>}</span>
          {hop.layer != null && (
            <span className="quiet how">{hop.layer}{(hop.overhead ?? 0) > 0 && <>: −{hop.overhead}{hop.formula != null && ` = ${hop.formula}`}</>}</span>
          )}
          {wrong && <StateMark state="degraded" text={t("net.tooLarge", { n: (hop.set ?? 0) - (hop.fits ?? 0), fits: hop.fits ?? 0 })} />}
          {hop.verdict === "spare" && <span className="quiet">{t("net.spare", { n: (hop.fits ?? 0) - (hop.set ?? 0) })}</span>}
          {hop.verdict === "unknown" && hop.set == null && <span className="quiet">{t("net.notTold")}</span>}
        </div>
        <PathLayers hops={inner} />
      </li>
    </ol>
  );
}
