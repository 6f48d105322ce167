"""What went over the wire between a node and a server of the rig's that stands in for the fleet:
kinds, topics, ids and lengths for a report; neither contents nor secrets.
"""

import time

_TYPES = {  # MQTT 3.1.1, 2.2.1
    1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK",
    12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT",
}  # fmt: skip
_COAP = ("CON", "NON", "ACK", "RST")  # RFC 7252, 3
CAME, WENT = ">", "<"

_noted: list[tuple[int, str, str]] = []  # of this process: microseconds of real time, log, line


def mark() -> int:
    """Here: for `since`."""
    return len(_noted)


def since(at: int, log: str) -> list[tuple[int, str]]:
    """Of `mqtt` or `coap`: real time in microseconds, and what went."""
    return [(real_us, line) for real_us, which, line in _noted[at:] if which == log]


def kind(first: int) -> str:
    """Of an MQTT packet, by its first byte."""
    return _TYPES.get(first >> 4, f"type {first >> 4}")


def mqtt(way: str, first: int, body: bytes) -> None:
    """One packet: its first byte, and what stands behind its length (MQTT 3.1.1)."""
    number, size = first >> 4, int.from_bytes(body[:2], "big")
    words = [way, kind(first)]
    if number == 3:
        qos, at = first >> 1 & 3, 2 + size
        words += [body[2:at].decode(errors="replace"), f"qos {qos}"]
        words += [f"id {int.from_bytes(body[at : at + 2], 'big')}"] if qos else []
        words += ["dup"] if first & 8 else []
    elif number in (4, 8, 9):
        words.append(f"id {size}")
    elif number == 2:
        words.append(f"code {body[1]}" if len(body) > 1 else "short")
    _note("mqtt", [*words, f"{len(body)} bytes"])


def mqtt_sent(data: bytes) -> None:
    """Whole packets, one behind the other."""
    while len(data) > 1:
        size = shift = 0
        at = 1
        while True:
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        mqtt(WENT, data[0], data[at : at + size])
        data = data[at + size :]


def coap(way: str, data: bytes) -> None:
    """One datagram."""
    if len(data) < 4:
        _note("coap", [way, "no CoAP", f"{len(data)} bytes"])
        return
    code = f"{data[1] >> 5}.{data[1] & 31:02}"
    words = [way, _COAP[data[0] >> 4 & 3], code, f"id {int.from_bytes(data[2:4], 'big')}"]
    _note("coap", [*words, f"{len(data)} bytes"])


def _note(log: str, words: list[str]) -> None:
    _noted.append((time.time_ns() // 1000, log, " ".join(words)))
