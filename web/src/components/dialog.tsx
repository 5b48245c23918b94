import { Modal, type ModalProps } from "@mantine/core";
import { useTexts } from "../i18n";

/** A dialog whose way out has a name. */
export function NamedDialog(props: ModalProps) {
  const { t } = useTexts();
  return <Modal closeButtonProps={{ "aria-label": t("close") }} {...props} />;
}
