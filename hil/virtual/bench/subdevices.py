"""The sub-devices on a board's RS-485 line: hung there, changed and taken away while it runs."""

from collections.abc import Callable
from typing import Any

from hil import subdevices
from hil.subdevices import SubDeviceError
from hil.virtual.bench.stimulus_error import StimulusError, flag, whole
from hil.virtual.rs485.device import Device, Faults
from hil.virtual.rs485.line import BusTwin
from hil.virtual.rs485.meters import Cjt188Meter, Dlt645Meter, ModbusDevice

LAMP = "lamp"  # values that are those of the lamp's circuit
_COUNTS = ("lose_every", "spoil_every", "noise_every")
_MOST = 32


class SubDevices:
    """Of one line. `lamp` gives what a DL/T 645 meter in the lamp's circuit counts, by item."""

    def __init__(self, bus: BusTwin, lamp: Callable[[int], dict[str, int]] | None) -> None:
        self._bus = bus
        self._lamp = lamp
        self._held: dict[str, tuple[str, Device, dict[str, Any]]] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """`bus`: `add`, `set` or `remove` one, or `list` them all; StimulusError."""
        try:
            return self._do(asked)
        except SubDeviceError as e:
            raise StimulusError(str(e)) from None

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        do = asked["bus"]
        if do == "list":
            return {"devices": self._list(), "line": dict(self._bus.counts)}
        if do not in ("add", "set", "remove"):
            raise StimulusError(f"bus {do!r} is none of add, set, remove, list")
        if do == "add":
            self._add(str(asked.get("profile")), asked)
            return {}
        name = str(asked.get("address")).lstrip("0")
        if name not in self._held:
            known = ", ".join(self._held) or "none"
            raise StimulusError(f"there is no sub-device {asked.get('address')!r}: {known}")
        if do == "set":
            self._set(*self._held[name], asked)
        else:
            self._bus.devices.remove(self._held.pop(name)[1])
        return {}

    def _add(self, profile: str, asked: dict[str, Any]) -> None:
        if len(self._held) >= _MOST:
            raise StimulusError(f"{_MOST} sub-devices are there: a line has no more")
        line = subdevices.line(profile)
        address = subdevices.address(profile, asked.get("address"))
        held: dict[str, Any] = {}
        sizes: dict[str, int] = {}
        device = _device(line, address, held, sizes)
        self._set(profile, device, held, asked)
        before = self._held.pop(address.lstrip("0"), None)
        if before is not None:
            self._bus.devices.remove(before[1])
        self._held[address.lstrip("0")] = (profile, device, held)
        self._bus.devices.append(device)

    def _set(
        self, profile: str, device: Device, held: dict[str, Any], asked: dict[str, Any]
    ) -> None:
        values = asked.get("values", {})
        faults = _faults(device.faults, asked)
        if values == LAMP:
            if self._lamp is None or not isinstance(device, Dlt645Meter):
                raise StimulusError("a DL/T 645 meter is in a lamp's circuit, where there is one")
            device.sizes = {item: size for item, (_, size) in _lamp_items().items()}
            device.values = self._lamp
        elif isinstance(values, dict):
            raw = subdevices.raw(profile, values)
            if isinstance(device, Dlt645Meter):
                device.sizes |= {item: size for item, (_, size) in raw.items()}
                raw = {item: count for item, (count, _) in raw.items()}
            held |= raw
        else:
            raise StimulusError('values is an object, or "lamp"')
        device.faults = faults

    def _list(self) -> dict[str, Any]:
        return {
            address: {
                "profile": profile,
                "asked": device.asked,
                "answered": device.answered,
                "good": device.good,
            }
            for address, (profile, device, _) in self._held.items()
        }


def _lamp_items() -> dict[str, Any]:
    names = ("energy", "voltage", "current", "active_power", "power_factor")
    return subdevices.raw("dlt645", dict.fromkeys(names, 0))


def _device(
    line: dict[str, Any], address: str, held: dict[str, Any], sizes: dict[str, int]
) -> Device:
    baud, parity = line["baud"], line["parity"]
    if line["protocol"] == "modbus":
        return ModbusDevice(baud, parity, lambda _: held, address=int(address))
    if line["protocol"] == "dlt645":
        return Dlt645Meter(baud, parity, lambda _: held, address=address, sizes=sizes)
    held["total"] = 0
    return Cjt188Meter(baud, parity, lambda _: held, address=address, kind=line["kind"])


def _faults(now: Faults, asked: dict[str, Any]) -> Faults:
    return Faults(
        delay_us=whole(asked, "delay_ms", 0, 10_000, now.delay_us // 1000) * 1000,
        dead=flag(asked, "dead", now.dead),
        **{name: whole(asked, name, 0, 10**6, getattr(now, name)) for name in _COUNTS},
    )
