"""What measures the current of a node."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

_number = attr.validators.instance_of(int)


@target_factory.reg_resource
@attr.s(eq=False)
class CurrentMeter(Resource):
    """An INA226 on the stimulus board's I2C, over a shunt in the node's supply."""

    address: int = attr.ib(default=0x40, validator=_number)
    shunt_milliohm: int = attr.ib(default=100, validator=_number)
