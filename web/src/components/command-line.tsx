import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useTexts } from "../i18n";

/** A text with a copy button. */
export function CopyableText({ text, wrap }: { text: string; wrap?: boolean }) {
  const { t } = useTexts();
  return (
    <span className={wrap ? "command wrap" : "command"}>
      {/* The region scrolls, so the keyboard must reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <code tabIndex={0}>{text}</code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? t("copied") : t("copy")}>
            <ActionIcon variant="subtle" color="gray" size="sm" onClick={copy} aria-label={`${copied ? t("copied") : t("copy")}: ${text}`}>
              {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </span>
  );
}

/** The equivalent command, at the end of each page. */
export function CommandLine({ text }: { text: string }) {
  const { t } = useTexts();
  return (
    <div className="cli">
      <span>{t("cli")}</span>
      <CopyableText text={text} />
    </div>
  );
}
