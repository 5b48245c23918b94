/** React components of the items. */
import {
  IconArrowsSplit2, IconBox, IconBoxMultiple, IconBucket, IconComponents, IconDatabase, IconDeviceDesktop, IconKey,
  IconNetwork, IconRouter, IconServer2, IconShield, IconStack2, IconTopologyBus, IconWorld, type Icon,
} from "@tabler/icons-react";
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { StateShape } from "../components/state-mark";
import type { FlowItem } from "./flow-nodes";
import type { NodeKind } from "./model";

const KIND_ICONS: Record<NodeKind, Icon> = {
  network: IconNetwork, subnet: IconTopologyBus, router: IconRouter, floating_ip: IconWorld, load_balancer: IconArrowsSplit2,
  host: IconServer2, server: IconDeviceDesktop, volume: IconDatabase, security_group: IconShield, server_group: IconBoxMultiple,
  keypair: IconKey, object_container: IconBucket, stack: IconStack2, service: IconComponents, container: IconBox,
};

export function KindIcon({ kind, size = 15 }: { kind: NodeKind; size?: number }) {
  const Shape = KIND_ICONS[kind];
  return <Shape size={size} stroke={1.6} aria-hidden />;
}

type ItemProps = NodeProps<FlowItem>;

const BarNode = memo(({ data: { item } }: ItemProps) => (
  <div className="bar"><KindIcon kind={item.kind} size={14} /><b>{item.name}</b><span>{item.text}</span></div>
));

const LaneNode = memo(({ data: { item } }: ItemProps) => (
  <div className={item.tone < 0 ? "lane plain" : `lane tone${item.tone}`} data-state={item.state}>
    <div className="label"><b>{item.name}</b><span>{item.text}</span></div>
    <div className="bus" />
  </div>
));

const BoxNode = memo(({ data: { item } }: ItemProps) => (
  <div className={`box ${item.shape}`} data-state={item.state}>
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

const ChipNode = memo(({ data: { item } }: ItemProps) => (
  <div className="chip" data-state={item.state}>
    <span className={`state ${item.state}`}><StateShape state={item.state} size={12} /></span>
    <span className="name">{item.name}</span>
    {item.text !== "" && <span className="count">{item.text}</span>}
    {item.kind === "volume" && <KindIcon kind="volume" size={13} />}
  </div>
));
BarNode.displayName = "Bar";
LaneNode.displayName = "Lane";
BoxNode.displayName = "Box";
ChipNode.displayName = "Chip";

export const nodeTypes = { bar: BarNode, lane: LaneNode, box: BoxNode, small: BoxNode, chip: ChipNode };
