import { Button, Loader, PasswordInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { api, get } from "../api/client";
import { become, session } from "../api/queries";
import { useTexts } from "../i18n";
import { Command } from "../parts/command";
import { LanguageSwitch } from "../parts/language";
import { Problem } from "../parts/problem";

/** Lets in who is signed in; all others may sign in. */
export function Gate({ children }: { children: ReactNode }) {
  const { t } = useTexts();
  const query = useQuery(session);
  if (query.data) return children;
  if (query.data === null) return <SignIn />;
  if (query.error) return <div className="signin"><Problem error={query.error} retry={() => void query.refetch()} /></div>;
  return <div className="center" role="status"><Loader size="sm" aria-label={t("loading")} /></div>;
}

function SignIn() {
  const { t } = useTexts();
  const queries = useQueryClient();
  const [token, setToken] = useState("");
  const signIn = useMutation({
    mutationFn: () => get(api.POST("/api/v1/session", { body: { token: token.trim() } })),
    onSuccess: (view) => become(queries, view),
  });
  return (
    <main className="signin">
      <div className="panel">
        <div className="corner">
          <span className="brand"><img src="/mark.svg" width="22" height="22" alt="" /> Stackyard</span>
          <LanguageSwitch />
        </div>
        <h1 className="hidden">{t("signIn.title")}</h1>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            signIn.mutate();
          }}
        >
          <PasswordInput
            label={t("signIn.token")}
            placeholder="sya_…"
            value={token}
            onChange={(e) => setToken(e.currentTarget.value)}
            autoComplete="off"
            // The page is this one field.
            // eslint-disable-next-line jsx-a11y/no-autofocus
            autoFocus
            required
            withAsterisk={false}
          />
          {signIn.error && <Problem error={signIn.error} />}
          <Button type="submit" size="sm" loading={signIn.isPending} disabled={token.trim() === ""}>{t("signIn.button")}</Button>
        </form>
        <div className="quiet">
          <p>{t("signIn.hint")}</p>
          <Command text="stackyard token create NAME --role admin" />
        </div>
      </div>
    </main>
  );
}
