import { SegmentedControl } from "@mantine/core";
import { useTexts } from "../i18n";

export function LanguageSwitch() {
  const { language, choose, t } = useTexts();
  return (
    <SegmentedControl
      size="xs"
      aria-label={t("menu.language")}
      value={language}
      onChange={choose}
      data={[
        { value: "en", label: "English" },
        { value: "zh", label: "中文" },
      ]}
    />
  );
}
