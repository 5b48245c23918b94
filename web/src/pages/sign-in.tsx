import { Button, PasswordInput, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap, type Schemas } from "../api/client";
import { setSession } from "../api/queries";
import { useTexts } from "../i18n";
import { CopyableText } from "../components/command-line";
import { LanguageSwitch } from "../components/language-switch";
import { Problem } from "../components/problem";

type SignInMethod = "password" | "credential" | "token";
const SIGN_IN_METHODS: SignInMethod[] = ["password", "credential", "token"];
const METHOD_STORAGE_KEY = "stackyard.signIn";

/** Values of the sign-in form, for all methods. */
export interface SignInFields {
  token: string;
  cloud: string;
  user: string;
  domain: string;
  password: string;
  project: string;
  credential: string;
  secret: string;
}

/** The API request, or null if a required value is missing. */
export function sessionRequest(way: SignInMethod, filled: SignInFields): Schemas["NewSession"] | null {
  const { cloud, password, secret } = filled;
  const [token, user, domain, project, credential] = [filled.token, filled.user, filled.domain, filled.project, filled.credential].map((s) => s.trim()) as [string, string, string, string, string];
  const where = domain === "" ? {} : { domain };
  switch (way) {
    case "token":
      return token === "" ? null : { token };
    case "password":
      return user === "" || password === "" || project === "" ? null : { password: { cloud, user, ...where, password, project } };
    case "credential":
      return credential === "" || secret === "" ? null : {
        application_credential: { cloud, credential, secret, ...(user === "" ? {} : { user, ...where }) },
      };
  }
}

/** Sign-in form, with a token or with an account on one of `clouds`. */
export function SignInForm({ clouds }: { clouds: string[] }) {
  const { t } = useTexts();
  const queries = useQueryClient();
  const [way, setWay] = useState<SignInMethod>(() => {
    if (clouds.length === 0) return "token";
    return SIGN_IN_METHODS.find((one) => one === localStorage.getItem(METHOD_STORAGE_KEY)) ?? "password";
  });
  const [filled, setFilled] = useState<SignInFields>({
    token: "", cloud: clouds[0] ?? "", user: "", domain: "", password: "", project: "", credential: "", secret: "",
  });
  const ready = sessionRequest(way, filled);
  const signIn = useMutation({
    mutationFn: (sent: Schemas["NewSession"]) => unwrap(api.POST("/api/v1/session", { body: sent })),
    onSuccess: (view) => {
      localStorage.setItem(METHOD_STORAGE_KEY, way);
      setSession(queries, view);
    },
  });
  const field = (name: keyof SignInFields) => ({
    size: "sm",
    value: filled[name],
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget;
      setFilled((now) => ({ ...now, [name]: value }));
    },
  });
  const needed = { required: true, withAsterisk: false };
  // The page has only this form.
  const first = { ...needed, autoFocus: true };
  const domain = <TextInput label={t("signIn.domain")} placeholder="Default" autoComplete="off" {...field("domain")} />;
  return (
    <main className="signin">
      <div className="panel">
        <div className="corner">
          <span className="brand"><img src="/mark.svg" width="22" height="22" alt="" /> Stackyard</span>
          <LanguageSwitch />
        </div>
        <h1 className="hidden">{t("signIn.title")}</h1>
        {clouds.length > 0 && (
          <SegmentedControl
            size="xs"
            fullWidth
            aria-label={t("signIn.way")}
            value={way}
            onChange={(value) => {
              setWay(value);
              signIn.reset();
            }}
            data={SIGN_IN_METHODS.map((one) => ({ value: one, label: t(`signIn.by.${one}`) }))}
          />
        )}
        <form
          key={way}
          onSubmit={(event) => {
            event.preventDefault();
            if (ready) signIn.mutate(ready);
          }}
        >
          {way !== "token" && clouds.length > 1 && (
            <Select
              size="sm"
              label={t("signIn.cloud")}
              data={clouds}
              value={filled.cloud}
              onChange={(value) => setFilled((now) => ({ ...now, cloud: value ?? now.cloud }))}
              allowDeselect={false}
            />
          )}
          {way === "token" && (
            <PasswordInput label={t("signIn.token")} placeholder="sya_…" autoComplete="off" {...first} {...field("token")} />
          )}
          {way === "password" && (
            <>
              <div className="two">
                <TextInput label={t("signIn.user")} autoComplete="username" {...first} {...field("user")} />
                {domain}
              </div>
              <PasswordInput label={t("signIn.password")} autoComplete="current-password" {...needed} {...field("password")} />
              <TextInput label={t("signIn.project")} autoComplete="off" {...needed} {...field("project")} />
            </>
          )}
          {way === "credential" && (
            <>
              <TextInput label={t("signIn.credential")} autoComplete="off" {...first} {...field("credential")} />
              <PasswordInput label={t("signIn.secret")} autoComplete="off" {...needed} {...field("secret")} />
              <div className="two">
                <TextInput label={t("signIn.owner")} autoComplete="off" {...field("user")} />
                {domain}
              </div>
            </>
          )}
          {signIn.error && <Problem error={signIn.error} advise={false} />}
          <Button type="submit" size="sm" loading={signIn.isPending} disabled={ready === null}>{t("signIn.button")}</Button>
        </form>
        <div className="quiet">
          {way === "token" ? (
            <>
              <p>{t("signIn.hint")}</p>
              <CopyableText text="stackyard token create NAME --role admin" />
            </>
          ) : (
            <>
              <p>{t("signIn.keystone", { cloud: filled.cloud })}</p>
              <CopyableText wrap text={`stackyard token sign-in --server ${location.origin}`} />
            </>
          )}
        </div>
      </div>
    </main>
  );
}
