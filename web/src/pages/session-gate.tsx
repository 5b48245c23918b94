import { Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { session, signInOptions } from "../api/queries";
import { useTexts } from "../i18n";
import { Problem } from "../components/problem";
import { SignInForm } from "./sign-in";

/** Shows the application to signed-in users and the sign-in form to others. */
export function SessionGate({ children }: { children: ReactNode }) {
  const { t } = useTexts();
  const query = useQuery(session);
  const out = query.data === null;
  const ways = useQuery({ ...signInOptions, enabled: out });
  if (query.data) return children;
  if (out && ways.data) return <SignInForm clouds={ways.data.clouds} />;
  const failed = query.error ? query : ways;
  if (failed.error) return <div className="signin"><Problem error={failed.error} retry={() => void failed.refetch()} /></div>;
  return <div className="center" role="status"><Loader size="sm" role="img" aria-label={t("loading")} /></div>;
}
