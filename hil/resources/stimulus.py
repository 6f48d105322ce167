"""A second ESP32 that makes what a node senses."""

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

_text = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class StimulusBoard(Resource):
    """Its port, as a NodePort's: `port`, or `serial` of its USB bridge. hil/stimulus/ runs on it,
    and it is wired to the node as hil/wiring.py has it.
    """

    port: str = attr.ib(default="", validator=_text)
    serial: str = attr.ib(default="", validator=_text)
