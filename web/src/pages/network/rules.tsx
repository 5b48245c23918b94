/** The rules of a security group in a form. Saving goes through a plan, like any other change of the manifest. */
import { ActionIcon, Button, NativeSelect, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useState } from "react";
import { api, unwrap, type Schemas } from "../../api/client";
import { manifest, reach, useHasRole, yards } from "../../api/queries";
import { shellQuote } from "../../format";
import { useTexts } from "../../i18n";
import { CommandLine } from "../../components/command-line";
import { PlanReview } from "../../components/plan-review";
import { QueryResult, Problem } from "../../components/problem";

type RuleView = Schemas["RuleView"];
type RuleFault = Schemas["RuleError"];

/** A rule in the form. */
export interface RuleRow {
  /** Key of the row, unique in the form. */
  id: number;
  /** Index of the rule in the manifest, or null for a new rule. */
  was: number | null;
  rule: RuleView;
}

const EMPTY_RULE: RuleView = { proto: "tcp", port: "", egress: false, peer: "", ipv6: null };

/** Rules of the API request. */
export function ruleRequests(rows: RuleRow[]): Schemas["RuleRequest"][] {
  return rows.map(({ was, rule }) => (was === null ? { rule } : { was, rule }));
}

/** Lines that differ between two texts, without the equal lines before and after them. */
export function textDifference(before: string, after: string): { gone: string[]; come: string[]; line: number } {
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
  const [reachQuery, list] = [useQuery(reach(yard)), useQuery(yards)];
  const revision = list.data?.find((one) => one.name === yard)?.revision;
  return (
    <QueryResult query={reachQuery}>
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
              : <RulesEditor key={chosen.name} yard={yard} group={chosen} names={[...groups.map((one) => one.name), ...other_groups]} revision={revision} />}
          </>
        );
      }}
    </QueryResult>
  );
}

interface RulesEditorProps {
  yard: string;
  group: Schemas["SecurityGroupView"];
  /** Groups that a rule can refer to. */
  names: string[];
  /** Revision of the yard when the form was opened. */
  revision: number;
}

function RulesEditor(props: RulesEditorProps) {
  // Keep the revision. If another user changes the yard, the server refuses to apply this one.
  const [at] = useState(props.revision);
  const text = useQuery(manifest(props.yard, at));
  return <QueryResult query={text}>{(found) => <RulesForm {...props} revision={at} before={found.manifest} />}</QueryResult>;
}

/** Delay between the last input and the check, in milliseconds. */
const CHECK_DELAY_MS = 300;

/** The manifest that the server writes for the rules, shortly after the last change. */
function useRulesRewrite(yard: string, group: string, before: string, rows: RuleRow[]): { text: string | null; faults: RuleFault[]; error: unknown; busy: boolean } {
  const [lastAnswer, setLastAnswer] = useState<{ of: string; text: string | null; faults: RuleFault[]; error: unknown }>({ of: "", text: null, faults: [], error: null });
  const requestKey = JSON.stringify([yard, group, before, ruleRequests(rows)]);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const [name, of, text, rules] = JSON.parse(requestKey) as [string, string, string, Schemas["RuleRequest"][]];
      const params = { path: { yard: name, group: of } };
      unwrap(api.POST("/api/v1/yards/{yard}/security-groups/{group}/rules", { params, body: { manifest: text, rules }, signal: stop.signal }))
        .then((answer) => setLastAnswer({ of: requestKey, text: answer.manifest ?? null, faults: answer.faults, error: null }))
        .catch((error: unknown) => {
          if (!stop.signal.aborted) setLastAnswer({ of: requestKey, text: null, faults: [], error });
        });
    }, CHECK_DELAY_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [requestKey]);
  return { ...lastAnswer, busy: lastAnswer.of !== requestKey };
}

function RulesForm({ yard, group, names, revision, before }: RulesEditorProps & { before: string }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const canEdit = useHasRole("operator");
  const [rows, setRows] = useState<RuleRow[]>(() => group.rules.map((rule, at) => ({ id: at, was: at, rule })));
  const rewritten = useRulesRewrite(yard, group.name, before, rows);
  const params = { path: { yard } };
  const body = { manifest: rewritten.text ?? before, revision };
  const plan = useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/yards/{yard}/plan", { params, body })) });
  const run = useMutation({
    mutationFn: (agreed: Pick<Schemas["YardRequest"], "plan" | "allow_data_loss">) =>
      unwrap(api.POST("/api/v1/yards/{yard}/runs", { params: { ...params, header: { "If-Match": `"${revision}"` } }, body: { ...body, ...agreed } })),
    onSuccess: (begun) => navigate({ to: "/yards/$yard/runs/$run", params: { yard: begun.yard, run: begun.id } }),
  });
  const change = (next: RuleRow[]) => {
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
        <RuleFields rows={rows} change={change} faults={rewritten.busy ? [] : rewritten.faults} names={names} canEdit={canEdit} />
        {rewritten.error != null && <div className="pad"><Problem error={rewritten.error} /></div>}
        {changed && !rewritten.busy && rewritten.text !== null && <ManifestDifference before={before} after={rewritten.text} />}
      </section>
      {canEdit && (
        <div className="buttons">
          <Button variant="default" disabled={!changed && rewritten.faults.length === 0} onClick={() => change(group.rules.map((rule, at) => ({ id: at, was: at, rule })))}>{t("net.undo")}</Button>
          <Button variant={plan.data ? "default" : "filled"} loading={plan.isPending} disabled={!changed || rewritten.busy} onClick={() => plan.mutate()}>{t("edit.plan")}</Button>
        </div>
      )}
      {plan.error && <Problem error={plan.error} />}
      {plan.data && <PlanReview plan={plan.data} apply={(allowDataLoss) => run.mutate({ plan: plan.data.digest, allow_data_loss: allowDataLoss })} busy={run.isPending} error={run.error} yard={yard} again={() => { run.reset(); plan.mutate(); }} />}
      <CommandLine text={`stackyard ${plan.data ? "up" : "plan"} -f ${shellQuote(`${yard}.yaml`)}`} />
    </>
  );
}

interface RuleFieldsProps {
  rows: RuleRow[];
  change: (rows: RuleRow[]) => void;
  faults: RuleFault[];
  names: string[];
  canEdit: boolean;
}

/** The form. */
export function RuleFields({ rows, change, faults, names, canEdit }: RuleFieldsProps) {
  const { t } = useTexts();
  const lists = useId();
  const set = (at: number, rule: Partial<RuleView>) => change(rows.map((row, n) => (n === at ? { ...row, rule: { ...row.rule, ...rule } } : row)));
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
              <NativeSelect label={t("net.direction")} disabled={!canEdit} value={rule.egress ? "out" : "in"} onChange={(e) => set(at, { egress: e.currentTarget.value === "out" })} data={[{ value: "in", label: t("net.in") }, { value: "out", label: t("net.out") }]} />
              <TextInput label={t("net.proto")} disabled={!canEdit} placeholder={t("net.all")} value={rule.proto ?? ""} list={`${lists}proto`} onChange={(e) => set(at, { proto: e.currentTarget.value })} error={of("proto")} autoComplete="off" />
              <TextInput label={t("net.port")} disabled={!canEdit} placeholder={t("net.all")} value={rule.port ?? ""} onChange={(e) => set(at, { port: e.currentTarget.value })} error={of("port")} autoComplete="off" />
              <TextInput label={rule.egress ? t("net.peerTo") : t("net.peerFrom")} disabled={!canEdit} placeholder={t("net.anyPeer")} value={rule.peer ?? ""} list={`${lists}peer`} onChange={(e) => set(at, { peer: e.currentTarget.value })} error={of("peer")} autoComplete="off" />
              <NativeSelect label={t("net.version")} disabled={!canEdit} value={rule.ipv6 == null ? "" : rule.ipv6 ? "6" : "4"} onChange={(e) => set(at, { ipv6: e.currentTarget.value === "" ? null : e.currentTarget.value === "6" })} error={of("ipv6")} data={[{ value: "", label: t("net.auto") }, { value: "4", label: "IPv4" }, { value: "6", label: "IPv6" }]} />
              {canEdit && <ActionIcon variant="subtle" color="gray" aria-label={t("net.removeRule", { n: at + 1 })} onClick={() => change(rows.filter((_, n) => n !== at))}><IconX size={16} /></ActionIcon>}
              {of("") !== undefined && <p className="why" role="alert">{of("")}</p>}
            </li>
          );
        })}
      </ul>
      {canEdit && <p className="pad"><Button variant="default" leftSection={<IconPlus size={15} />} onClick={() => change([...rows, { id: next(), was: null, rule: EMPTY_RULE }])}>{t("net.addRule")}</Button></p>}
    </>
  );
}

/** Changed lines of the manifest. */
function ManifestDifference({ before, after }: { before: string; after: string }) {
  const { t } = useTexts();
  const { gone, come, line } = textDifference(before, after);
  return (
    <div className="difference">
      <h3>{t("net.inManifest", { line })}</h3>
      {/* The region scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={t("net.inManifest", { line })}>
        {gone.map((text, at) => <del key={`-${at}`}>{`- ${text}\n`}</del>)}
        {come.map((text, at) => <ins key={`+${at}`}>{`+ ${text}\n`}</ins>)}
      </pre>
    </div>
  );
}
