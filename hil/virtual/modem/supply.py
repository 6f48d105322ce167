"""The module's supply: a source with a resistance, and the voltage below which it restarts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SupplyOptions:
    """`ohms` of battery, wires and regulator; `volts` None: the module's typical voltage."""

    ohms: float = 0.0
    volts: float | None = None


class Supply:
    """`minimum_volts`: of the module, `hw/modems/<family>.toml`."""

    def __init__(self, options: SupplyOptions, volts: float, minimum_volts: float) -> None:
        self._volts = volts if options.volts is None else options.volts
        self._ohms = options.ohms
        self._minimum = minimum_volts

    def carries(self, ma: float) -> bool:
        """Whether the voltage stays up while this current flows."""
        return self._volts - self._ohms * ma / 1000 >= self._minimum
