import { Button, Loader } from "@mantine/core";
import { IconAlertOctagon } from "@tabler/icons-react";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { asApiError, type ApiError } from "../api/client";
import { useTexts, type TextKey } from "../i18n";

/** Text key of the advice for an error, if there is any. */
export function errorHint(error: ApiError): TextKey | undefined {
  switch (error.status) {
    case 0:
      return "problem.hint0";
    case 401:
      return "problem.hint401";
    case 403:
      return "problem.hint403";
    case 429:
      return "problem.hint429";
    default:
      return error.status >= 500 ? "problem.hint500" : undefined;
  }
}

/** An error with the server's message and advice. */
export function Problem({ error, retry, advise = true }: { error: unknown; retry?: () => void; advise?: boolean }) {
  const { t } = useTexts();
  const apiError = asApiError(error);
  const advice = advise || apiError.status === 0 ? errorHint(apiError) : undefined;
  return (
    <div className="problem" role="alert">
      <strong>
        <IconAlertOctagon size={16} aria-hidden />
        {apiError.status === 0 ? t("problem.network") : `${apiError.title} (${apiError.status})`}
      </strong>
      {apiError.message && <p>{apiError.message}</p>}
      {advice && <p className="quiet">{t(advice)}</p>}
      {retry && <div><Button variant="default" onClick={retry}>{t("retry")}</Button></div>}
    </div>
  );
}

/** Renders a query's data, its error, or a loading indicator. */
export function QueryResult<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  const { t } = useTexts();
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Problem error={query.error} retry={() => void query.refetch()} />;
  return <div className="empty" role="status"><Loader size="xs" role="img" aria-label={t("loading")} /></div>;
}
