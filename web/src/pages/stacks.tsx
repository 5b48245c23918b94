import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { replicaCounts, stackState } from "../api/health";
import { stacks } from "../api/queries";
import { useTexts } from "../i18n";
import { CopyableText, CommandLine } from "../components/command-line";
import { QueryResult } from "../components/problem";
import { StateMark } from "../components/state-mark";
import { RelativeTime } from "../components/time";

export function StacksPage() {
  const { t } = useTexts();
  const query = useQuery(stacks);
  return (
    <div className="page">
      <div className="head"><h1>{t("stacks.title")}</h1></div>
      <section className="panel">
        <QueryResult query={query}>
          {(all) => all.length === 0 ? (
            <div className="empty form">
              <p>{t("stacks.empty")}</p>
              <div><CopyableText text="stackyard stack deploy -f compose.yaml --yard YARD" /></div>
            </div>
          ) : (
            <table className="rows cards">
              <thead>
                <tr>
                  <th scope="col">{t("stacks.name")}</th>
                  <th scope="col">{t("host.yard")}</th>
                  <th scope="col">{t("stack.state")}</th>
                  <th scope="col" className="num">{t("stacks.services")}</th>
                  <th scope="col" className="num">{t("stacks.containers")}</th>
                  <th scope="col">{t("stacks.deployed")}</th>
                </tr>
              </thead>
              <tbody>
                {all.map((stack) => {
                  const { ready, desired } = replicaCounts(stack);
                  return (
                    <tr key={`${stack.yard}/${stack.name}`}>
                      <td className="full"><Link className="strong" to="/stacks/$yard/$name" params={{ yard: stack.yard, name: stack.name }}>{stack.name}</Link></td>
                      <td data-label={t("host.yard")}>{stack.yard}</td>
                      <td data-label={t("stack.state")}>
                        <StateMark state={stackState(stack)} {...(stack.removing ? { text: t("state.removing") } : {})} />
                        {stack.status.reasons.map((reason) => <div key={reason} className="why">{reason}</div>)}
                      </td>
                      <td data-label={t("stacks.services")} className="num">{stack.status.services.length}</td>
                      <td data-label={t("stacks.containers")} className="num nowrap">{t("stacks.of", { ready, n: desired })}</td>
                      <td data-label={t("stacks.deployed")}><RelativeTime at={stack.deployed} /></td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          )}
        </QueryResult>
      </section>
      <CommandLine text="stackyard stack list" />
    </div>
  );
}
