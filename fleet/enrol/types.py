"""The node types of hw/nodes, as far as the fleet needs them: each one's role and board."""

from functools import cache

from fleet.enrol.claims import Roles


@cache
def roles() -> Roles:
    """Of every node type that ships with the package."""
    from fleet.flashing import hardware

    types = {name: hardware.load_node_type(name) for name in hardware.node_types()}
    return Roles(
        {name: each.role for name, each in types.items()},
        {name: each.board for name, each in types.items()},
    )
