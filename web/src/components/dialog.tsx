import { Modal, type ModalProps } from "@mantine/core";
import { useTexts } from "../i18n";

/** A dialog whose close button has an accessible name. */
export function NamedDialog(props: ModalProps) {
  const { t } = useTexts();
  return <Modal closeButtonProps={{ "aria-label": t("close") }} {...props} />;
}
