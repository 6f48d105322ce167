"""The node types of hw/nodes, as far as the fleet needs them: each one's role."""

from functools import cache

from fleet.enrol.claims import Roles


@cache
def roles() -> Roles:
    """The role of every node type that ships with the package."""
    from fleet.flashing import hardware

    return Roles({name: hardware.load_node_type(name).role for name in hardware.node_types()})
