import { Button } from "@mantine/core";
import { IconRefresh } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { shellQuote } from "../format";
import { useTexts } from "../i18n";
import { CommandLine } from "./command-line";
import { QueryResult } from "./problem";

/** The last lines of a server's console log, read from its cloud. */
export function ServerConsole({ yard, server }: { yard: string; server: string }) {
  const { t } = useTexts();
  const query = useQuery({
    queryKey: ["console", yard, server],
    gcTime: 0,
    queryFn: () => unwrap(api.GET("/api/v1/yards/{yard}/servers/{server}/console", { params: { path: { yard, server }, query: { lines: 500 } } })),
  });
  return (
    <div className="form">
      <QueryResult query={query}>
        {(log) => log.text.trim() === "" ? <p className="empty">{t("serverlog.empty")}</p> : (
          // The region scrolls, so the keyboard must reach it.
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          <div className="pre serverlog" role="region" aria-label={t("serverlog.of", { name: server })} tabIndex={0} ref={(box) => { if (box) box.scrollTop = box.scrollHeight; }}>{log.text}</div>
        )}
      </QueryResult>
      <div className="buttons"><Button variant="default" loading={query.isFetching} leftSection={<IconRefresh size={14} />} onClick={() => void query.refetch()}>{t("yard.again")}</Button></div>
      <CommandLine text={`stackyard console -f yard.yaml ${shellQuote(server)}`} />
    </div>
  );
}
