/** The rules of a security group, in a form; from there through a plan as any other change of the manifest. */
import { ActionIcon, Button, NativeSelect, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useState } from "react";
import { api, get, type Schemas } from "../../api/client";
import { manifest, reach, useMay, yards } from "../../api/queries";
import { shell } from "../../format";
import { useTexts } from "../../i18n";
import { CommandLine } from "../../components/command-line";
import { Planned } from "../../components/plan-review";
import { Loaded, Problem } from "../../components/problem";

type Rule = Schemas["RuleView"];
type Fault = Schemas["RuleFault"];

/** A rule in the form. */
export interface Row {
  /** Unique in the form. */
  id: number;
  /** Which of the group's rules it is so far. */
  was: number | null;
  rule: Rule;
}

const EMPTY: Rule = { proto: "tcp", port: "", egress: false, peer: "", ipv6: null };

/** What the server is asked to write. */
export function wish(rows: Row[]): Schemas["RuleWish"][] {
  return rows.map(({ was, rule }) => (was === null ? { rule } : { was, rule }));
}

/** Lines that differ between two texts, without those before and behind that are the same. */
export function difference(before: string, after: string): { gone: string[]; come: string[]; line: number } {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first += 1;
  let last = 0;
  while (last < a.length - first && last < b.length - first && a[a.length - 1 - last] === b[b.length - 1 - last]) last += 1;
  return { gone: a.slice(first, a.length - last), come: b.slice(first, b.length - last), line: first + 1 };
}

export function RulesView({ yard, group }: { yard: string; group: string | undefined }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const [seen, list] = [useQuery(reach(yard)), useQuery(yards)];
  const revision = list.data?.find((one) => one.name === yard)?.revision;
  return (
    <Loaded query={seen}>
      {({ groups, other_groups }) => {
        const chosen = groups.find((one) => one.name === group) ?? groups[0];
        if (!chosen) {
          return <><section className="panel"><p className="empty">{t("net.noGroups")}</p></section><CommandLine text="stackyard net reach -f yard.yaml" /></>;
        }
        return (
          <>
            <div className="choices groups" role="group" aria-label={t("net.groups")}>
              {groups.map((one) => (
                <Button key={one.name} size="xs" variant={one.name === chosen.name ? "light" : "default"} aria-pressed={one.name === chosen.name} onClick={() => void navigate({ to: "/yards/$yard/network", params: { yard }, search: { view: "rules", group: one.name } })}>{one.name} <span className="quiet count">{one.rules.length}</span></Button>
              ))}
            </div>
            {revision === undefined
              ? <section className="panel"><p className="empty">{list.isPending ? t("loading") : t("net.notKept")}</p></section>
              : <Opened key={chosen.name} yard={yard} group={chosen} names={[...groups.map((one) => one.name), ...other_groups]} revision={revision} />}
          </>
        );
      }}
    </Loaded>
  );
}

interface OpenedProps {
  yard: string;
  group: Schemas["SecurityGroupView"];
  /** Groups that a rule can speak of. */
  names: string[];
  /** Revision of the yard when the form was opened. */
  revision: number;
}

function Opened(props: OpenedProps) {
  // What somebody else does meanwhile is told when this is applied.
  const [at] = useState(props.revision);
  const text = useQuery(manifest(props.yard, at));
  return <Loaded query={text}>{(found) => <Form {...props} revision={at} before={found.manifest} />}</Loaded>;
}

/** How long after the last key the rules are checked, in milliseconds. */
const CALM = 300;

/** What the server makes of rules, a moment after they were changed last. */
function useRewritten(yard: string, group: string, before: string, rows: Row[]): { text: string | null; faults: Fault[]; error: unknown; busy: boolean } {
  const [said, setSaid] = useState<{ of: string; text: string | null; faults: Fault[]; error: unknown }>({ of: "", text: null, faults: [], error: null });
  const asked = JSON.stringify([yard, group, before, wish(rows)]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const [name, of, text, rules] = JSON.parse(asked) as [string, string, string, Schemas["RuleWish"][]];
      const params = { path: { yard: name, group: of } };
      get(api.POST("/api/v1/yards/{yard}/security-groups/{group}/rules", { params, body: { manifest: text, rules }, signal: stop.signal }))
        .then((answer) => setSaid({ of: asked, text: answer.manifest ?? null, faults: answer.faults, error: null }))
        .catch((error: unknown) => {
          if (!stop.signal.aborted) setSaid({ of: asked, text: null, faults: [], error });
        });
    }, CALM);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [asked]);
  return { ...said, busy: said.of !== asked };
}

function Form({ yard, group, names, revision, before }: OpenedProps & { before: string }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const may = useMay("operator");
  const [rows, setRows] = useState<Row[]>(() => group.rules.map((rule, at) => ({ id: at, was: at, rule })));
  const rewritten = useRewritten(yard, group.name, before, rows);
  const params = { path: { yard } };
  const body = { manifest: rewritten.text ?? before, revision };
  const plan = useMutation({ mutationFn: () => get(api.POST("/api/v1/yards/{yard}/plan", { params, body })) });
  const run = useMutation({
    mutationFn: (agreed: Pick<Schemas["YardWish"], "plan" | "allow_data_loss">) =>
      get(api.POST("/api/v1/yards/{yard}/runs", { params: { ...params, header: { "If-Match": `"${revision}"` } }, body: { ...body, ...agreed } })),
    onSuccess: (begun) => navigate({ to: "/yards/$yard/runs/$run", params: { yard: begun.yard, run: begun.id } }),
  });
  const change = (next: Row[]) => {
    setRows(next);
    plan.reset();
    run.reset();
  };
  const changed = rewritten.text !== null && rewritten.text !== before;
  return (
    <>
      <section className="panel" aria-label={t("net.rulesOf", { name: group.name })}>
        <div className="title">
          <h2>{t("net.rulesOf", { name: group.name })}</h2>
          <span className="end quiet" role="status">{rewritten.busy ? t("edit.checking") : rewritten.faults.length > 0 ? t("edit.mistakes", { n: rewritten.faults.length }) : ""}</span>
        </div>
        <Rules rows={rows} change={change} faults={rewritten.busy ? [] : rewritten.faults} names={names} may={may} />
        {rewritten.error != null && <div className="pad"><Problem error={rewritten.error} /></div>}
        {changed && !rewritten.busy && rewritten.text !== null && <Difference before={before} after={rewritten.text} />}
      </section>
      {may && (
        <div className="buttons">
          <Button variant="default" disabled={!changed && rewritten.faults.length === 0} onClick={() => change(group.rules.map((rule, at) => ({ id: at, was: at, rule })))}>{t("net.undo")}</Button>
          <Button variant={plan.data ? "default" : "filled"} loading={plan.isPending} disabled={!changed || rewritten.busy} onClick={() => plan.mutate()}>{t("edit.plan")}</Button>
        </div>
      )}
      {plan.error && <Problem error={plan.error} />}
      {plan.data && <Planned plan={plan.data} apply={(allowDataLoss) => run.mutate({ plan: plan.data.digest, allow_data_loss: allowDataLoss })} busy={run.isPending} error={run.error} yard={yard} again={() => { run.reset(); plan.mutate(); }} />}
      <CommandLine text={`stackyard ${plan.data ? "up" : "plan"} -f ${shell(`${yard}.yaml`)}`} />
    </>
  );
}

interface RulesProps {
  rows: Row[];
  change: (rows: Row[]) => void;
  faults: Fault[];
  names: string[];
  may: boolean;
}

/** The form. */
export function Rules({ rows, change, faults, names, may }: RulesProps) {
  const { t } = useTexts();
  const lists = useId();
  const set = (at: number, rule: Partial<Rule>) => change(rows.map((row, n) => (n === at ? { ...row, rule: { ...row.rule, ...rule } } : row)));
  const next = () => Math.max(-1, ...rows.map((row) => row.id)) + 1;
  return (
    <>
      <datalist id={`${lists}proto`}>{["tcp", "udp", "icmp", "icmpv6", "sctp"].map((name) => <option key={name} value={name} />)}</datalist>
      <datalist id={`${lists}peer`}>{[...names, "0.0.0.0/0", "::/0"].map((name) => <option key={name} value={name} />)}</datalist>
      {rows.length === 0 && <p className="empty">{t("net.noRules")}</p>}
      <ul className="rules">
        {rows.map((row, at) => {
          const of = (field: string) => {
            const fault = faults.find((one) => one.rule === at && one.field === field);
            return fault && (fault.hint ? `${fault.message}; ${fault.hint}` : fault.message);
          };
          const { rule } = row;
          return (
            <li key={row.id} aria-label={t("net.rule", { n: at + 1 })}>
              <NativeSelect label={t("net.direction")} disabled={!may} value={rule.egress ? "out" : "in"} onChange={(e) => set(at, { egress: e.currentTarget.value === "out" })} data={[{ value: "in", label: t("net.in") }, { value: "out", label: t("net.out") }]} />
              <TextInput label={t("net.proto")} disabled={!may} placeholder={t("net.all")} value={rule.proto ?? ""} list={`${lists}proto`} onChange={(e) => set(at, { proto: e.currentTarget.value })} error={of("proto")} autoComplete="off" />
              <TextInput label={t("net.port")} disabled={!may} placeholder={t("net.all")} value={rule.port ?? ""} onChange={(e) => set(at, { port: e.currentTarget.value })} error={of("port")} autoComplete="off" />
              <TextInput label={rule.egress ? t("net.peerTo") : t("net.peerFrom")} disabled={!may} placeholder={t("net.everybody")} value={rule.peer ?? ""} list={`${lists}peer`} onChange={(e) => set(at, { peer: e.currentTarget.value })} error={of("peer")} autoComplete="off" />
              <NativeSelect label={t("net.version")} disabled={!may} value={rule.ipv6 == null ? "" : rule.ipv6 ? "6" : "4"} onChange={(e) => set(at, { ipv6: e.currentTarget.value === "" ? null : e.currentTarget.value === "6" })} error={of("ipv6")} data={[{ value: "", label: t("net.auto") }, { value: "4", label: "IPv4" }, { value: "6", label: "IPv6" }]} />
              {may && <ActionIcon variant="subtle" color="gray" aria-label={t("net.removeRule", { n: at + 1 })} onClick={() => change(rows.filter((_, n) => n !== at))}><IconX size={16} /></ActionIcon>}
              {of("") !== undefined && <p className="why" role="alert">{of("")}</p>}
            </li>
          );
        })}
      </ul>
      {may && <p className="pad"><Button variant="default" leftSection={<IconPlus size={15} />} onClick={() => change([...rows, { id: next(), was: null, rule: EMPTY }])}>{t("net.addRule")}</Button></p>}
    </>
  );
}

/** What becomes of the manifest's text. */
function Difference({ before, after }: { before: string; after: string }) {
  const { t } = useTexts();
  const { gone, come, line } = difference(before, after);
  return (
    <div className="difference">
      <h3>{t("net.inManifest", { line })}</h3>
      {/* It scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={t("net.inManifest", { line })}>
        {gone.map((text, at) => <del key={`-${at}`}>{`- ${text}\n`}</del>)}
        {come.map((text, at) => <ins key={`+${at}`}>{`+ ${text}\n`}</ins>)}
      </pre>
    </div>
  );
}
