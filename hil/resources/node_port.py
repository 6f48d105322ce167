"""A real node's serial port."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

from hil.resources.parsed import parsed

_text = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class NodePort(Resource):
    """A board's port: `port` is a path or a name as `kapok ports` lists them (usb:1-3.2:1.0), or
    `serial` the number of its USB bridge, which has DTR and RTS: the chip's own USB is gone while
    a node sleeps. `board`: a name of hw/boards.
    """

    board: str = attr.ib(validator=_text)
    nodes: list[str] = attr.ib(converter=parsed, validator=attr.validators.instance_of(list))
    port: str = attr.ib(default="", validator=_text)
    serial: str = attr.ib(default="", validator=_text)
