import { Button } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { api, unwrap, type Host } from "../api/client";
import { yards } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { AllowDataLoss, useDataLossConsent } from "./allow-data-loss";
import { CommandLine } from "./command-line";
import { NamedDialog } from "./dialog";
import { PlanView } from "./plan-view";
import { QueryResult, Problem } from "./problem";
import { RelativeTime } from "./time";

/** Replaces a host's server: marks the host, then shows and applies its yard's plan. The user can undo the mark. */
export function ReplaceHost({ host, close }: { host: Host | undefined; close: () => void }) {
  const { t } = useTexts();
  return (
    <NamedDialog opened={host !== undefined} onClose={close} title={host && t("hosts.replaceTitle", { name: host.name })} size="lg">
      {host && (
        <div className="form">
          {host.replace ? <ReplacementPlan host={host} close={close} /> : <MarkForm host={host} close={close} />}
        </div>
      )}
    </NamedDialog>
  );
}

const replaceCommand = (host: Host) => `stackyard host replace ${shellQuote(`${host.yard}/${host.name}`)}`;
const hostPath = (host: Host) => ({ params: { path: { id: host.id } } });

function MarkForm({ host, close }: { host: Host; close: () => void }) {
  const { t } = useTexts();
  // The hosts query updates when the host is marked.
  const mark = useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/hosts/{id}/replace", hostPath(host))) });
  return (
    <>
      <p>{t("hosts.replaceText")}</p>
      {mark.error && <Problem error={mark.error} />}
      <CommandLine text={replaceCommand(host)} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button loading={mark.isPending || mark.isSuccess} onClick={() => mark.mutate()}>{t("hosts.replaceMark")}</Button>
      </div>
    </>
  );
}

function ReplacementPlan({ host, close }: { host: Host; close: () => void }) {
  const { t } = useTexts();
  const navigate = useNavigate();
  const query = useQuery(yards);
  const { yard } = host;
  const revision = query.data?.find((one) => one.name === yard)?.revision;
  const params = { path: { yard } };
  const plan = useQuery({
    queryKey: ["replacement", yard, revision, host.id],
    gcTime: 0,
    enabled: revision !== undefined,
    queryFn: () => unwrap(api.POST("/api/v1/yards/{yard}/plan", { params, body: { revision } })),
  });
  const loss = useDataLossConsent(plan.data);
  const run = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/v1/yards/{yard}/runs", {
          params: { ...params, header: { "If-Match": `"${revision}"` } },
          body: { revision, plan: plan.data?.digest, allow_data_loss: loss.loses },
        }),
      ),
    onSuccess: (begun) => navigate({ to: "/yards/$yard/runs/$run", params: { yard, run: begun.id } }),
  });
  const keep = useMutation({ mutationFn: () => unwrap(api.DELETE("/api/v1/hosts/{id}/replace", hostPath(host))), onSuccess: close });
  const ready = plan.data && plan.data.blockers.length === 0 && !plan.data.noop && loss.ready;
  return (
    <>
      <p>{t("hosts.markedBy", { who: host.replace?.actor ?? "" })} <span className="quiet"><RelativeTime at={host.replace?.at} /></span></p>
      <p className="quiet">{t("hosts.replaceNext")}</p>
      {query.data && revision === undefined
        ? <p>{t("hosts.replaceNoManifest")}</p>
        : <QueryResult query={plan}>{(found) => (
          // The region scrolls, so the keyboard must reach it.
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          <div className="scrolls" role="region" aria-label={t("plan.title")} tabIndex={0}><PlanView plan={found} /></div>
        )}</QueryResult>}
      {plan.data && <AllowDataLoss plan={plan.data} loss={loss} />}
      {run.error && <Problem error={run.error} />}
      {keep.error && <Problem error={keep.error} />}
      <CommandLine text={replaceCommand(host)} />
      <div className="buttons">
        <Button variant="default" loading={keep.isPending} onClick={() => keep.mutate()}>{t("hosts.keep")}</Button>
        <Button variant="default" onClick={close}>{t("hosts.later")}</Button>
        {run.error && <Button variant="default" onClick={() => { run.reset(); void plan.refetch(); }}>{t("edit.planAgain")}</Button>}
        <Button color="red.8" disabled={!ready} loading={run.isPending} onClick={() => run.mutate()}>{t("edit.applyGrave")}</Button>
      </div>
    </>
  );
}
