"""What the node of a place senses: made by the virtual board."""

from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.protocols import Stimulus


@target_factory.reg_driver
@attr.s(eq=False)
class BenchStimulusDriver(Driver, Stimulus):
    """The virtual board's pins, by the bench's control socket."""

    bindings = {"bench": "BenchDriver"}  # noqa: RUF012  labgrid's way
    bench: BenchDriver

    @Driver.check_active
    @step(args=["asked"])
    def do(self, **asked: Any) -> dict[str, Any]:
        """As Stimulus.do."""
        found: dict[str, Any] = self.bench.ask("stimulus", **asked)
        return found
