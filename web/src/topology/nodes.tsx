/** What items look like. */
import {
  IconArrowsSplit2, IconBox, IconBoxMultiple, IconBucket, IconComponents, IconDatabase, IconDeviceDesktop, IconKey,
  IconNetwork, IconRouter, IconServer2, IconShield, IconStack2, IconTopologyBus, IconWorld, type Icon,
} from "@tabler/icons-react";
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { StateShape } from "../components/state-mark";
import type { Shown } from "./flow-nodes";
import type { Kind } from "./model";

const ICONS: Record<Kind, Icon> = {
  network: IconNetwork, subnet: IconTopologyBus, router: IconRouter, floating_ip: IconWorld, load_balancer: IconArrowsSplit2,
  host: IconServer2, server: IconDeviceDesktop, volume: IconDatabase, security_group: IconShield, server_group: IconBoxMultiple,
  keypair: IconKey, object_container: IconBucket, stack: IconStack2, service: IconComponents, container: IconBox,
};

export function KindIcon({ kind, size = 15 }: { kind: Kind; size?: number }) {
  const Shape = ICONS[kind];
  return <Shape size={size} stroke={1.6} aria-hidden />;
}

type Props = NodeProps<Shown>;

const Bar = memo(({ data: { item } }: Props) => (
  <div className="bar"><KindIcon kind={item.kind} size={14} /><b>{item.name}</b><span>{item.text}</span></div>
));

const Lane = memo(({ data: { item } }: Props) => (
  <div className={item.tone < 0 ? "lane plain" : `lane tone${item.tone}`} data-state={item.state}>
    <div className="label"><b>{item.name}</b><span>{item.text}</span></div>
    <div className="bus" />
  </div>
));

const Box = memo(({ data: { item } }: Props) => (
  <div className={`box ${item.sort}`} data-state={item.state}>
    <div className="top">
      <span className={`state ${item.state}`}><StateShape state={item.state} /></span>
      <span className="names"><b>{item.name}</b><span>{item.text}</span></span>
      <KindIcon kind={item.kind} size={16} />
    </div>
    {item.cells && (
      <svg className="cells" width={item.rect.w} height={item.rect.h} aria-hidden="true">
        {item.cells.map(([state, d]) => <path key={state} className={`state ${state}`} d={d} />)}
      </svg>
    )}
  </div>
));

const Chip = memo(({ data: { item } }: Props) => (
  <div className="chip" data-state={item.state}>
    <span className={`state ${item.state}`}><StateShape state={item.state} size={12} /></span>
    <span className="name">{item.name}</span>
    {item.text !== "" && <span className="count">{item.text}</span>}
    {item.kind === "volume" && <KindIcon kind="volume" size={13} />}
  </div>
));
Bar.displayName = "Bar";
Lane.displayName = "Lane";
Box.displayName = "Box";
Chip.displayName = "Chip";

export const nodeTypes = { bar: Bar, lane: Lane, box: Box, small: Box, chip: Chip };
