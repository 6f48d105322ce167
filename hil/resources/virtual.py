"""A virtual board, that starts when somebody takes the place."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

from hil.resources.parsed import parsed


@target_factory.reg_resource
@attr.s(eq=False)
class VirtualBoard(Resource):
    """`board` is a name of hw/boards, `nodes` the node types that it can be, `scenario` the air
    about its modem: a file, or a shipped one's name.
    """

    board: str = attr.ib(validator=attr.validators.instance_of(str))
    nodes: list[str] = attr.ib(converter=parsed, validator=attr.validators.instance_of(list))
    scenario: str = attr.ib(default="", validator=attr.validators.instance_of(str))
