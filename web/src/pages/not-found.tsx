import { useTexts } from "../i18n";

export function NotFound({ text }: { text?: string }) {
  const { t } = useTexts();
  return <div className="page"><p className="empty">{text ?? t("page.missing")}</p></div>;
}
