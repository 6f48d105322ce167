"""The modem twin of a place: on the virtual board's UART."""

from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.protocols import ModemControl


@target_factory.reg_driver
@attr.s(eq=False)
class BenchTwinDriver(Driver, ModemControl):
    """The virtual board's modem, by the bench's control socket."""

    bindings = {"bench": "BenchDriver"}  # noqa: RUF012  labgrid's way
    bench: BenchDriver

    @Driver.check_active
    @step(args=["asked"])
    def ask(self, **asked: Any) -> dict[str, Any]:
        """As ModemControl.ask."""
        found: dict[str, Any] = self.bench.ask("modem", **asked)
        return found
