import { Button, NumberInput, Select, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap, nextMarker, type Role, type Schemas } from "../api/client";
import { session, tokens, useHasRole } from "../api/queries";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CopyableText, CommandLine } from "../components/command-line";
import { ConfirmDialog, type ConfirmRequest } from "../components/confirm-dialog";
import { NamedDialog } from "../components/dialog";
import { QueryResult, Problem } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";

export function AccessPage() {
  const { t } = useTexts();
  const isAdmin = useHasRole("admin");
  const { data: user } = useQuery(session);
  return (
    <div className="page">
      <div className="head"><h1>{t("access.title")}</h1></div>
      {isAdmin ? <><TokenTable /><AuditLog /></> : (
        <section className="panel"><p className="empty">{t("access.notYours", { role: user ? t(`role.${user.role}`) : "" })}</p></section>
      )}
      <CommandLine text="stackyard token list; stackyard audit" />
    </div>
  );
}

function TokenTable() {
  const { t } = useTexts();
  const query = useQuery(tokens);
  const [making, setMaking] = useState(false);
  const [question, setQuestion] = useState<ConfirmRequest | null>(null);
  const revoke = (token: Schemas["TokenView"]): ConfirmRequest => ({
    title: t("access.revokeTitle", { name: token.name }),
    text: t("access.revokeText"),
    button: t("access.revoke"),
    command: `stackyard token revoke ${shellQuote(token.name)}`,
    destructive: true,
    run: () => unwrap(api.DELETE("/api/v1/tokens/{id}", { params: { path: { id: token.id } } })),
  });
  return (
    <section className="panel">
      <div className="title">
        <h2>{t("access.tokens")}</h2>
        <span className="end"><Button size="compact-xs" leftSection={<IconPlus size={13} />} onClick={() => setMaking(true)}>{t("access.create")}</Button></span>
      </div>
      <QueryResult query={query}>
        {(all) => (
          <table className="rows cards">
            <thead>
              <tr>
                <th scope="col">{t("access.name")}</th>
                <th scope="col">{t("access.role")}</th>
                <th scope="col">{t("access.created")}</th>
                <th scope="col">{t("access.used")}</th>
                <th scope="col">{t("access.expires")}</th>
                <th scope="col"><span className="hidden">{t("access.revoke")}</span></th>
              </tr>
            </thead>
            <tbody>
              {all.map((token) => (
                <tr key={token.id}>
                  <td className="full strong">{token.name}</td>
                  <td data-label={t("access.role")}>{t(`role.${token.role as Role}`)}</td>
                  <td data-label={t("access.created")}><RelativeTime at={token.created} /></td>
                  <td data-label={t("access.used")}><RelativeTime at={token.last_used} /></td>
                  <td data-label={t("access.expires")}><RelativeTime at={token.expires} /></td>
                  <td className="corner"><div className="tools"><Button variant="subtle" size="compact-xs" c="var(--bad)" onClick={() => setQuestion(revoke(token))} aria-label={t("access.revokeOf", { name: token.name })}>{t("access.revoke")}</Button></div></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </QueryResult>
      <NamedDialog opened={making} onClose={() => setMaking(false)} title={t("access.create")}>
        <NewTokenForm close={() => setMaking(false)} />
      </NamedDialog>
      <ConfirmDialog question={question} close={() => setQuestion(null)} />
    </section>
  );
}

function NewTokenForm({ close }: { close: () => void }) {
  const { t } = useTexts();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState<number | string>("");
  const make = useMutation({
    mutationFn: () => {
      const ttl_s = typeof days === "number" ? days * 86_400 : undefined;
      return unwrap(api.POST("/api/v1/tokens", { body: { name, role, ...(ttl_s ? { ttl_s } : {}) } }));
    },
    // Do not cache the token.
    gcTime: 0,
  });
  if (make.data) {
    return (
      <div className="form">
        <p><StateMark state="ready" text={t("access.shownOnce")} /></p>
        <CopyableText text={make.data.token} wrap />
        <div className="buttons"><Button onClick={close}>{t("close")}</Button></div>
      </div>
    );
  }
  const options = [shellQuote(name || "NAME"), `--role ${role}`, ...(typeof days === "number" ? [`--days ${days}`] : [])];
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <TextInput label={t("access.name")} value={name} onChange={(e) => setName(e.currentTarget.value)} maxLength={100} required withAsterisk={false} data-autofocus autoComplete="off" />
      <Select
        label={t("access.role")}
        value={role}
        onChange={(value) => setRole(value as Role)}
        allowDeselect={false}
        data={(["viewer", "operator", "admin"] as const).map((value) => ({ value, label: t(`access.${value}`) }))}
      />
      <NumberInput label={t("access.days")} value={days} onChange={setDays} min={1} max={3650} allowDecimal={false} />
      {make.error && <Problem error={make.error} />}
      <CommandLine text={`stackyard token create ${options.join(" ")}`} />
      <div className="buttons">
        <Button variant="default" onClick={close}>{t("cancel")}</Button>
        <Button type="submit" loading={make.isPending} disabled={name === ""}>{t("access.make")}</Button>
      </div>
    </form>
  );
}

const AUDIT_PAGE_SIZE = 50;

function AuditLog() {
  const { t } = useTexts();
  const query = useInfiniteQuery({
    queryKey: ["audit"],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const answer = await api.GET("/api/v1/audit", { params: { query: { limit: AUDIT_PAGE_SIZE, ...(pageParam ? { marker: pageParam } : {}) } } });
      return { entries: await unwrap(Promise.resolve(answer)), next: nextMarker(answer.response) };
    },
    getNextPageParam: (last) => last.next,
  });
  return (
    <section className="panel">
      <h2>{t("access.audit")}</h2>
      {query.error && <div className="pad"><Problem error={query.error} retry={() => void query.refetch()} /></div>}
      <table className="rows cards">
        <thead>
          <tr>
            <th scope="col">{t("access.at")}</th>
            <th scope="col">{t("access.who")}</th>
            <th scope="col">{t("access.from")}</th>
            <th scope="col">{t("access.what")}</th>
            <th scope="col">{t("access.detail")}</th>
            <th scope="col">{t("access.result")}</th>
          </tr>
        </thead>
        <tbody>
          {query.data?.pages.flatMap((one) => one.entries).map((entry) => (
            <tr key={entry.id}>
              <td data-label={t("access.at")}><RelativeTime at={entry.at} /></td>
              <td data-label={t("access.who")}>{entry.actor}</td>
              <td data-label={t("access.from")}>{entry.address}</td>
              <td className="full mono">{entry.verb.split(" ")[0]} {entry.target}</td>
              <td className="full" data-label={t("access.detail")}>{entry.detail}</td>
              <td data-label={t("access.result")}><AuditResult entry={entry} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {query.hasNextPage && <div className="pad"><Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>{t("access.older")}</Button></div>}
    </section>
  );
}

function AuditResult({ entry }: { entry: Schemas["AuditEntry"] }) {
  const { t } = useTexts();
  if (!entry.result) return <StateMark state="waiting" text={t("access.unfinished")} />;
  const text = t(`access.result.${entry.result}`);
  const times = entry.times > 1 ? ` ×${entry.times}` : "";
  return <StateMark state={entry.result === "done" ? "ready" : "failed"} text={text + times} />;
}
