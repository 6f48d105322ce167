"""The stimulus board of a place: a MicroPython board of its own, wired to the node's pins."""

from typing import Any

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

from hil.resources.parsed import parsed

_text = attr.validators.instance_of(str)
_table = attr.validators.instance_of(dict)


@target_factory.reg_resource
@attr.s(eq=False)
class StimulusBoard(Resource):
    """`port` is a path. `channels` are the wires to the node by the names of its pins, and
    `bus` and `meter` what else the board has: all as its `wire` request takes it (docs/bench.md).
    """

    port: str = attr.ib(validator=_text)
    channels: dict[str, dict[str, Any]] = attr.ib(factory=dict, converter=parsed, validator=_table)
    bus: dict[str, int] = attr.ib(factory=dict, converter=parsed, validator=_table)
    meter: dict[str, Any] = attr.ib(factory=dict, converter=parsed, validator=_table)
