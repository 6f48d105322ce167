"""What a station is set to: the basic configuration and operating parameters of annex D."""

from typing import Any

from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import FrameError, decimal_text
from fleet.legacy.protocols.sl651_elements import identifier
from fleet.legacy.protocols.sl651_numbers import NAME, Reader, number

_BASIC = {
    0x01: "centres", 0x02: "station", 0x03: "password", 0x04: "centre 1, main channel",
    0x05: "centre 1, spare channel", 0x06: "centre 2, main channel",
    0x07: "centre 2, spare channel", 0x08: "centre 3, main channel",
    0x09: "centre 3, spare channel", 0x0A: "centre 4, main channel",
    0x0B: "centre 4, spare channel", 0x0C: "working mode", 0x0D: "elements that are measured",
    0x0E: "stations that are relayed", 0x0F: "identity of the modem",
}  # fmt: skip
_CHANNELS = {
    0: "off", 1: "SMS", 2: "IPv4", 3: "Beidou", 4: "Inmarsat", 5: "PSTN", 6: "radio",
}  # fmt: skip
_MODES = {1: "report", 2: "report, confirmed", 3: "query", 4: "maintenance"}
_CARDS = {"1": "SIM", "2": "Beidou"}


def parameters(reader: Reader, basic: bool) -> list[dict[str, Any]]:
    """Identifiers with their data up to the end of the body: table D.1 (basic) or D.4."""
    told = []
    while reader.left:
        at = reader.place
        code, definition = identifier(reader)
        # Only the list of relayed stations has all eight bits for its length.
        size = definition if basic and code == 0x0E else definition >> 3
        data = reader.take(size, f"parameter {code:02X}")
        one: dict[str, Any] = {"id": f"{code:02X}", "raw": data.hex().upper()}
        told.append(
            one
            | (_basic(code, data, at + 2) if basic else _running(code, definition, data, at + 2))
        )
    return told


def names(reader: Reader, elements: bool) -> list[dict[str, str]]:
    """Identifiers without data, as a centre asks for them."""
    told = []
    while reader.left:
        code, _ = identifier(reader)
        known = (words.elements() if elements else words.parameters()).get(code)
        name = known.name if known else _BASIC.get(code, "not in the standard")
        told.append({"id": f"{code:02X}", "name": name})
    return told


def _basic(code: int, data: bytes, at: int) -> dict[str, Any]:
    one: dict[str, Any] = {"name": _BASIC.get(code, "not in the standard")}
    if code == 0x01:
        return one | {"value": list(data)}
    if 0x04 <= code <= 0x0B:
        return one | _channel(data, at)
    if code == 0x0C:
        mode = number(data, at)
        return one | {"value": _MODES.get(mode or 0, "not in the standard")}
    if code == 0x0F:
        text = data.decode("ascii", "replace")
        return one | {"card": _CARDS.get(text[:1], "not in the standard"), "value": text[1:]}
    return one


def _channel(data: bytes, at: int) -> dict[str, Any]:
    if not data:
        raise FrameError(NAME, at, "a channel without its kind")
    kind, address = _CHANNELS.get(data[0], "not in the standard"), data[1:]
    digits = address.hex().upper()
    if kind == "IPv4" and len(address) == 9 and digits.isdigit():
        parts = [str(int(digits[i : i + 3])) for i in range(0, 12, 3)]
        return {"channel": kind, "value": f"{'.'.join(parts)}:{int(digits[12:])}"}
    return {"channel": kind, "value": digits.lstrip("A")}


def _running(code: int, definition: int, data: bytes, at: int) -> dict[str, Any]:
    known = words.parameters().get(code)
    one: dict[str, Any] = {"name": known.name if known else "not in the standard"}
    if not data:
        return one
    value = number(data, at)
    text = None if value is None else decimal_text(value, definition & 7)
    return one | {"value": text, "unit": known.unit if known else ""}
