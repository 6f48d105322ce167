"""The fixture `power`: the supply of the node under test, seen with its console.

power.off(), .on(), .cycle()
power.dip(20)    milliseconds, where the rig can: needs("virtual")
power.cut_during(node.wake, seconds=2.5)    the supply goes so much node time behind the call
"""

from collections.abc import Callable
from typing import Any


class Power:
    """By way of its strategy, which knows afterwards that it is off."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy

    def off(self) -> None:
        """Whatever it does just now."""
        self._strategy.console.close()
        self._strategy.supply.off()
        self._strategy.force("off")

    def on(self) -> None:
        """It boots."""
        self._strategy.supply.on()
        self._strategy.console.open()
        self._strategy.force("unknown")

    def cycle(self) -> None:
        """Off, for as long as it takes to be dark, and on."""
        self.off()
        self.on()

    def dip(self, ms: int) -> None:
        """Below what the chip runs from, and back, for so long."""
        self._strategy.supply.dip(ms)

    def cut_during(self, what: Callable[[], object], seconds: float) -> None:
        """Call `what`, let so much of the node's time pass, and switch off."""
        what()
        self._strategy.clock.wait(seconds)
        self.off()
