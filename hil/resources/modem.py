"""What a node's modem pins are wired to: the modem twin of this machine."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

from hil.resources.parsed import parsed

_text = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class ModemTwinLine(Resource):
    """`port`: the USB-UART adapter that is wired to the node's modem pins. `family`, `scenario`
    and `seed` as of `kapok modem-twin`; `resolve`: loopback addresses by host name, `*` for all
    others.
    """

    port: str = attr.ib(validator=_text)
    family: str = attr.ib(validator=_text)
    scenario: str = attr.ib(default="", validator=_text)
    seed: int = attr.ib(default=1, validator=attr.validators.instance_of(int))
    resolve: dict[str, str] = attr.ib(
        factory=lambda: {"*": "127.0.0.1"},
        converter=parsed,
        validator=attr.validators.instance_of(dict),
    )
