"""The data identifiers of DL/T 645-2007, annex A: what each holds, its digits and its unit."""

from dataclasses import dataclass

NUMBER, SIGNED, TEXT, BITS, DATE, CLOCK, STAMP, DEMAND = range(8)  # how the bytes are read


@dataclass(frozen=True, slots=True)
class Item:
    """`size` bytes each, of which there may be several (`block`), read as `how`.

    `keys` name the pieces of a block, in their order; others are numbered.
    """

    key: str
    name: str
    how: int
    size: int
    decimals: int = 0
    unit: str = ""
    block: bool = False
    keys: tuple[str, ...] = ()

    def key_of(self, number: int) -> str:
        """The key of one value, the first 0; no two of all items have the same."""
        if number < len(self.keys):
            return self.keys[number]
        return f"{self.key}_{number}" if self.block else self.key


_ENERGIES = {
    0x00: ("combined active", "kWh"), 0x01: ("forward active", "kWh"),
    0x02: ("reverse active", "kWh"), 0x03: ("combined reactive 1", "kvarh"),
    0x04: ("combined reactive 2", "kvarh"), 0x05: ("quadrant 1 reactive", "kvarh"),
    0x06: ("quadrant 2 reactive", "kvarh"), 0x07: ("quadrant 3 reactive", "kvarh"),
    0x08: ("quadrant 4 reactive", "kvarh"), 0x09: ("forward apparent", "kVAh"),
    0x0A: ("reverse apparent", "kVAh"),
}  # fmt: skip
_PHASES = {0x15: "A", 0x29: "B", 0x3D: "C"}  # DI2 of a phase's forward active energy
_PHASE_ENERGIES = (
    ("forward active", "kWh"), ("reverse active", "kWh"), ("combined reactive 1", "kvarh"),
    ("combined reactive 2", "kvarh"), ("quadrant 1 reactive", "kvarh"),
    ("quadrant 2 reactive", "kvarh"), ("quadrant 3 reactive", "kvarh"),
    ("quadrant 4 reactive", "kvarh"), ("forward apparent", "kVAh"), ("reverse apparent", "kVAh"),
)  # fmt: skip
_SIGNED_ENERGIES = ("combined active", "combined reactive 1", "combined reactive 2")
_LINES = {
    0x01: ("voltage", NUMBER, 2, 1, "V", ("", "a", "b", "c")),
    0x02: ("current", SIGNED, 3, 3, "A", ("", "a", "b", "c")),
    0x03: ("active_power", SIGNED, 3, 4, "kW", ("total", "a", "b", "c")),
    0x04: ("reactive_power", SIGNED, 3, 4, "kvar", ("total", "a", "b", "c")),
    0x05: ("apparent_power", SIGNED, 3, 4, "kVA", ("total", "a", "b", "c")),
    0x06: ("power_factor", SIGNED, 2, 3, "", ("total", "a", "b", "c")),
    0x07: ("phase_angle", NUMBER, 2, 1, "°", ("", "a", "b", "c")),
    0x08: ("voltage_distortion", NUMBER, 2, 2, "%", ("", "a", "b", "c")),
    0x09: ("current_distortion", NUMBER, 2, 2, "%", ("", "a", "b", "c")),
}
_OTHERS = {
    0x00900100: Item("energy_left", "energy left", NUMBER, 4, 2, "kWh"),
    0x00900101: Item("energy_overdrawn", "energy overdrawn", NUMBER, 4, 2, "kWh"),
    0x00900200: Item("money_left", "money left", NUMBER, 4, 2, "CNY"),
    0x00900201: Item("money_overdrawn", "money overdrawn", NUMBER, 4, 2, "CNY"),
    0x03110000: Item("power_failures", "power failures", NUMBER, 3),
    0x03300000: Item("programmings", "times that the meter was programmed", NUMBER, 3),
    0x03300100: Item("clearings", "times that the meter was cleared", NUMBER, 3),
    0x03300D00: Item("cover_openings", "times that the cover was opened", NUMBER, 3),
    0x02800001: Item("neutral_current", "neutral current", SIGNED, 3, 3, "A"),
    0x02800002: Item("frequency", "frequency of the grid", NUMBER, 2, 2, "Hz"),
    0x02800003: Item("active_power_mean", "mean active power of a minute", SIGNED, 3, 4, "kW"),
    0x02800004: Item("active_demand", "present active demand", SIGNED, 3, 4, "kW"),
    0x02800005: Item("reactive_demand", "present reactive demand", SIGNED, 3, 4, "kvar"),
    0x02800006: Item("apparent_demand", "present apparent demand", SIGNED, 3, 4, "kVA"),
    0x02800007: Item("temperature", "temperature in the meter", SIGNED, 2, 1, "°C"),
    0x02800008: Item("clock_battery", "voltage of the clock's battery", NUMBER, 2, 2, "V"),
    0x02800009: Item("reading_battery", "voltage of the reading battery", NUMBER, 2, 2, "V"),
    0x0280000A: Item("battery_time", "working time of the battery", NUMBER, 4, 0, "min"),
    0x0280000B: Item("step_price", "present price of the step", NUMBER, 4, 4, "CNY/kWh"),
    0x04000101: Item("date", "date and day of the week", DATE, 4),
    0x04000102: Item("clock", "time of the day", CLOCK, 3),
    0x04000103: Item("demand_period", "period of the maximum demand", NUMBER, 1, 0, "min"),
    0x04000104: Item("demand_slip", "slip of the maximum demand", NUMBER, 1, 0, "min"),
    0x04000401: Item("address", "communication address", BITS, 6),
    0x04000402: Item("meter_number", "number of the meter", BITS, 6),
    0x04000403: Item("asset_code", "code of the asset", TEXT, 32),
    0x04000404: Item("rated_voltage", "rated voltage", TEXT, 6),
    0x04000405: Item("rated_current", "rated current", TEXT, 6),
    0x04000406: Item("maximum_current", "maximum current", TEXT, 6),
    0x04000407: Item("active_class", "accuracy class, active", TEXT, 4),
    0x04000408: Item("reactive_class", "accuracy class, reactive", TEXT, 4),
    0x04000409: Item("active_constant", "meter constant, active", NUMBER, 3, 0, "imp/kWh"),
    0x0400040A: Item("reactive_constant", "meter constant, reactive", NUMBER, 3, 0, "imp/kvarh"),
    0x0400040B: Item("model", "model of the meter", TEXT, 10),
    0x0400040C: Item("made", "date of production", TEXT, 10),
    0x0400040D: Item("protocol_version", "version of the protocol", TEXT, 16),
    0x04800001: Item("software_version", "software version of the maker", TEXT, 32),
    0x04800002: Item("hardware_version", "hardware version of the maker", TEXT, 32),
    0x04800003: Item("maker_number", "number of the maker", TEXT, 32),
}
_FREEZES = {
    0x00: "timed freeze", 0x01: "instant freeze", 0x02: "freeze at a change of time zones",
    0x03: "freeze at a change of day slots", 0x04: "hourly freeze", 0x06: "daily freeze",
}  # fmt: skip


def find(identifier: int) -> Item | None:
    """What DI3..DI0 as one number holds, None where this table does not know it."""
    first, second = identifier >> 24, identifier >> 16 & 0xFF
    tariff, when = identifier >> 8 & 0xFF, identifier & 0xFF
    if identifier in _OTHERS:
        return _OTHERS[identifier]
    if first in (0x00, 0x01):
        return _energy(first, second, tariff, when)
    if first == 0x02 and second in _LINES and when == 0:
        return _line(second, tariff)
    if first == 0x05 and second in _FREEZES:
        return _freeze(second, tariff, when)
    if identifier >> 8 == 0x040005 and 1 <= when <= 7:
        return Item(f"state_word_{when}", f"running state word {when}", BITS, 2)
    if identifier == 0x040005FF:
        words = tuple(f"state_word_{number}" for number in range(1, 8))
        return Item("state_word", "running state words", BITS, 2, block=True, keys=words)
    return None


def _energy(first: int, second: int, tariff: int, when: int) -> Item | None:
    told = _ENERGIES.get(second)
    for start, phase in _PHASES.items():
        if start <= second < start + len(_PHASE_ENERGIES):
            name, unit = _PHASE_ENERGIES[second - start]
            told = (f"phase {phase} {name}", unit)
    if told is None or (tariff > 0x3F and tariff != 0xFF) or (when > 12 and when != 0xFF):
        return None
    what, unit = told
    part = "all tariffs" if tariff == 0xFF else _part(tariff)
    block = tariff == 0xFF or when == 0xFF
    ending = "" if when == 0 else f", settlement day {when} back"
    if when == 0xFF:
        ending = ", present and settlement days"
    kind = "max_demand" if first == 0x01 else "energy"
    keys = _pieces(kind, what, tariff, when)
    key = _key(kind, what, part) + _settled(when)
    if first == 0x01:
        name = f"maximum demand of {what} energy, {part}{ending}"
        return Item(key, name, DEMAND, 8, 4, unit.rstrip("h"), block, keys)
    how = SIGNED if what in _SIGNED_ENERGIES else NUMBER
    return Item(key, f"{what} energy, {part}{ending}", how, 4, 2, unit, block, keys)


def _pieces(kind: str, what: str, tariff: int, when: int) -> tuple[str, ...]:
    """Keys of a block of energies: by tariffs, total first, or by settlement days, now first."""
    if tariff == 0xFF and when != 0xFF:
        return tuple(_key(kind, what, _part(one)) + _settled(when) for one in range(0x40))
    if when == 0xFF and tariff != 0xFF:
        return tuple(_key(kind, what, _part(tariff)) + _settled(one) for one in range(13))
    return ()


def _part(tariff: int) -> str:
    return f"tariff {tariff}" if tariff else "total"


def _settled(when: int) -> str:
    return {0: "", 0xFF: "_all_days"}.get(when, f"_settled_{when}")


def _line(second: int, phase: int) -> Item | None:
    key, how, size, decimals, unit, phases = _LINES[second]
    if phase == 0xFF:
        name = f"{key.replace('_', ' ')}, all phases"
        keys = tuple(f"{key}_{one}" for one in phases if one)
        return Item(key, name, how, size, decimals, unit, True, keys)
    if phase > 3 or not phases[phase]:
        return None
    name = f"{key.replace('_', ' ')}, {'phase ' if phase else ''}{phases[phase].upper()}"
    if not phase:
        name = f"{key.replace('_', ' ')}, total"
    return Item(f"{key}_{phases[phase]}", name, how, size, decimals, unit)


def _freeze(second: int, what: int, back: int) -> Item | None:
    name = f"{_FREEZES[second]} {back} back"
    ending = f"_{_FREEZES[second]}_{back}".replace(" ", "_")
    if what == 0:
        return Item(f"time{ending}", f"time of {name}", STAMP, 5)
    if what in _ENERGIES and 1 <= what <= 8:
        told, unit = _ENERGIES[what]
        how = SIGNED if told in _SIGNED_ENERGIES else NUMBER
        keys = tuple(_key("energy", told, _part(one)) + ending for one in range(0x40))
        key = _key("energy", told, "all tariffs") + ending
        return Item(key, f"{told} energy, {name}", how, 4, 2, unit, True, keys)
    return None


def _key(what: str, name: str, part: str) -> str:
    return f"{name} {what} {part}".replace(" ", "_").lower()
