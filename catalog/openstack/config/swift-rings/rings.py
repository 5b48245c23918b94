#!/usr/bin/env python3
"""Make Swift's rings: one device, one copy. Rings that are there stay, since data hangs on them."""
import os

from swift.common.ring import RingBuilder

RINGS = "/var/lib/swift/rings"

for server, port in (("account", 6201), ("container", 6202), ("object", 6203)):
    path = os.path.join(RINGS, server + ".ring.gz")
    if os.path.exists(path):
        continue
    builder = RingBuilder(8, 1, 0)  # 2^8 partitions, one replica, no minimum of hours between moves
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port,
                     "replication_ip": "127.0.0.1", "replication_port": port, "device": "d1", "meta": ""})
    builder.rebalance(seed="stackyard")
    builder.validate()
    builder.save(os.path.join(RINGS, server + ".builder"))
    builder.get_ring().save(path + ".new")
    os.rename(path + ".new", path)
    print("made", path)
