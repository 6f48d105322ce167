"""What a node's modem lines are wired to."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

_text = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class ModemTwinLine(Resource):
    """A USB-UART adapter on which the modem twin of `family` plays, in the air of `scenario`: a
    file, or a shipped one's name. `port` or `serial` as a NodePort's.
    """

    family: str = attr.ib(validator=_text)
    port: str = attr.ib(default="", validator=_text)
    serial: str = attr.ib(default="", validator=_text)
    scenario: str = attr.ib(default="good", validator=_text)


@target_factory.reg_resource
@attr.s(eq=False)
class CellularModem(Resource):
    """A real modem of `family` with a SIM of `operator`: nobody controls its air."""

    family: str = attr.ib(validator=_text)
    operator: str = attr.ib(default="", validator=_text)
