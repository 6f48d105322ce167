"""What each pin of a chip can do, and what it is needed for before any firmware runs."""

from typing import NamedTuple


class Gpio(NamedTuple):
    """Pin numbers of one chip. Sources: its datasheet's pin table, strapping pins and IO MUX.

    `adc` is ADC1 (ADC2 is not for general use); `wake` are those that EXT0/EXT1, or on the C3
    GPIO wake-up, can wait for in deep sleep. `taken` and `doubtful` say by pin why.
    """

    pins: tuple[int, ...]
    inputs_only: tuple[int, ...]
    adc: tuple[int, ...]
    wake: tuple[int, ...]
    taken: dict[int, str]
    doubtful: dict[int, str]


def _all(pins: tuple[int, ...], why: str) -> dict[int, str]:
    return dict.fromkeys(pins, why)


def _range(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_FLASH, _CONSOLE = "the flash chip hangs on it", "UART0, the console, is on it"
_STRAP = "a strapping pin: its level at reset decides how the chip starts"
_USB = "the USB console is on it"

GPIO: dict[str, Gpio] = {
    "esp32": Gpio(
        pins=(*_range(0, 19), *_range(21, 23), *_range(25, 27), *_range(32, 39)),
        inputs_only=_range(34, 39),
        adc=_range(32, 39),
        wake=(0, 2, 4, *_range(12, 15), *_range(25, 27), *_range(32, 39)),
        taken=_all(_range(6, 11), _FLASH) | _all((1, 3), _CONSOLE),
        doubtful=_all((0, 2, 5, 12, 15), _STRAP),
    ),
    "esp32s3": Gpio(
        pins=(*_range(0, 21), *_range(26, 48)),
        inputs_only=(),
        adc=_range(1, 10),
        wake=_range(0, 21),
        taken=_all(_range(26, 32), _FLASH) | _all((43, 44), _CONSOLE),
        doubtful=_all((0, 3, 45, 46), _STRAP)
        | _all((19, 20), _USB)
        | _all(_range(33, 37), "modules with octal flash or PSRAM need it"),
    ),
    "esp32c3": Gpio(
        pins=_range(0, 21),
        inputs_only=(),
        adc=_range(0, 4),
        wake=_range(0, 5),
        taken=_all(_range(11, 17), _FLASH) | _all((20, 21), _CONSOLE),
        doubtful=_all((2, 8, 9), _STRAP) | _all((18, 19), _USB),
    ),
}

IN, OUT, ADC, WAKE = "input", "output", "analogue input", "input that ends deep sleep"
# A contact that is open again before the chip is up: only EXT0 tells that it was this one.
TIP = "input that ends deep sleep by EXT0"

# What the firmware does with the pins that it knows by name.
PURPOSE: dict[str, str] = {
    "tx": OUT, "rx": IN, "reset": OUT, "pwrkey": OUT, "dtr": OUT, "psm_exit": OUT, "cut": OUT,
    "pulse": WAKE, "wake": WAKE, "button": WAKE, "level": ADC, "supply": ADC,
    "relay": OUT, "dim": OUT, "pulse2": WAKE, "pfail": WAKE,
    "door": IN, "water": IN, "leakage": ADC,
    # Of a gas meter: its battery's divider, gas sensor and valve. Of both: cover, accelerometer.
    "battery": ADC, "gas": ADC, "gas_call": WAKE, "cover": WAKE, "scl": OUT, "sda": OUT,
    "shock": WAKE, "valve_open": OUT, "valve_close": OUT, "valve_opened": IN, "valve_closed": IN,
    "valve_ma": ADC,
    # Of a drainage point: the load switch of its sensors, an ultrasonic sensor's wires, contacts
    # of chamber and rain gauge, other sensors.
    "sense": OUT, "echo": IN, "ping": OUT, "water": WAKE, "rain": TIP, "velocity": ADC,
    "h2s": ADC, "ch4": ADC,
}  # fmt: skip


def _listed(pins: tuple[int, ...]) -> str:
    parts: list[str] = []
    first = last = pins[0]
    for pin in (*pins[1:], -1):
        if pin == last + 1:
            last = pin
            continue
        parts.append(str(first) if first == last else f"{first}..{last}")
        first = last = pin
    return ", ".join(parts)


def fault(chip: str, pin: int, purpose: str) -> str:
    """Why this pin cannot serve the purpose, "" when it can."""
    gpio = GPIO[chip]
    if pin not in gpio.pins:
        return f"{chip} has no GPIO {pin}: it has {_listed(gpio.pins)}"
    if pin in gpio.taken:
        return f"GPIO {pin} is taken on {chip}: {gpio.taken[pin]}"
    if purpose == OUT and pin in gpio.inputs_only:
        return f"GPIO {pin} of {chip} is an input only and cannot drive: take another"
    if purpose == ADC and pin not in gpio.adc:
        return f"GPIO {pin} of {chip} is not on ADC1: take one of {_listed(gpio.adc)}"
    if purpose == TIP and chip == "esp32c3":
        return f"GPIO {pin} of {chip} cannot wait for a tip: take a chip that has EXT0"
    if purpose in (WAKE, TIP) and pin not in gpio.wake:
        return f"GPIO {pin} of {chip} cannot end deep sleep: take one of {_listed(gpio.wake)}"
    return ""


def doubt(chip: str, pin: int) -> str:
    """What to think of before using this pin, "" when there is nothing."""
    why = GPIO[chip].doubtful.get(pin)
    return f"GPIO {pin} of {chip}: {why}" if why else ""
