"""Map the cell of this cloud, cell1, unless it is mapped.

`nova-manage cell_v2 create_cell` is not fit to be run again: whether there is such a cell already it asks by
comparing URLs as they are given, with templates in them, with those of cells, in which they are filled in. It
makes one more cell each time, and Nova counts the servers of each against the quota. What was made so goes.
"""
import sys

from nova import config, context, objects
from oslo_utils import uuidutils

NAME = "cell1"
# Filled in from nova.conf of whoever reads the mapping, so that no password is kept in it.
URL = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"


def is_empty(admin, cell):
    mappings = (objects.HostMappingList, objects.InstanceMappingList)
    return not any(of.get_by_cell_id(admin, cell.id) for of in mappings)


def main():
    config.parse_args(sys.argv)
    objects.register_all()
    admin = context.get_admin_context()
    cells = sorted((c for c in objects.CellMappingList.get_all(admin) if c.name == NAME), key=lambda c: c.id)
    if not cells:
        objects.CellMapping(
            admin, uuid=uuidutils.generate_uuid(), name=NAME, database_connection=URL, transport_url=URL, disabled=False
        ).create()
    for double in cells[1:]:
        if is_empty(admin, double):
            double.destroy()
            print("%s: %s is one too many, removed" % (NAME, double.uuid))
