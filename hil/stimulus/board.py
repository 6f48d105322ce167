"""The stimulus board: one JSON object a line on its serial port, one answer a line.

{"wire": {"channels": {...}, "bus": {...}, "meter": {...}}} says first what is wired where; then
come the objects of docs/bench.md: pulse, level, relay, voltage, current, read, bus, meter.
"""

import json
import select
import sys
import time

import bus
import channels
import meter
import pulses

VERSION = 1
_LONGEST = 4096  # bytes of a line
_ALIASES = {"supply-fail": "pfail"}
_MOST_MS = 86_400_000


class RequestError(ValueError):
    """The request cannot be done; the text is one line."""


class Board:
    """What is wired, and what goes on there."""

    def __init__(self):
        self._channels = {}
        self._trains = {}
        self.bus = None
        self.meter = None
        # What does it, and what may stand beside it.
        self._do = {
            "wire": (self._wire, ()),
            "pulse": (self._pulse, ("count", "width_ms", "gap_ms")),
            "level": (self._level, ("value",)),
            "relay": (self._level, ("value",)),
            "voltage": (self._voltage, ("mv",)),
            "current": (self._current, ("ua",)),
            "read": (self._read, ()),
            "bus": (self._bus, bus.KEYS),
            "meter": (self._meter, ()),
        }

    def answer(self, line):
        """The answer to one line; total."""
        try:
            asked = json.loads(line)
            if not isinstance(asked, dict):
                raise RequestError("that is no JSON object on one line")
            for name, (do, keys) in self._do.items():
                if name in asked:
                    for key in asked:
                        if key != name and key not in keys:
                            raise RequestError("%s has no %r here" % (name, key))
                    told = do(asked, name) or {}
                    told["ok"] = True
                    return told
            raise RequestError("a stimulus is one of %s" % ", ".join(self._do))
        except (ValueError, TypeError, KeyError, AttributeError, OSError, MemoryError) as e:
            # AttributeError: a port that lacks a peripheral; OSError: nobody answers on I2C.
            return {"error": "%s%s" % (_kind(e), e)}

    def due(self, now):
        """Milliseconds until something is to be done here; -1 for never."""
        least = -1
        for part in self._parts():
            ms = part.due(now)
            if ms is not None and (least < 0 or ms < least):
                least = ms
        return least

    def go(self, now):
        """Do what is due."""
        for part in self._parts():
            part.go(now)

    def _parts(self):
        parts = list(self._trains.values())
        if self.bus is not None:
            parts.append(self.bus)
        if self.meter is not None:
            parts.append(self.meter)
        return parts

    def _wire(self, asked, _):
        wire = asked["wire"]
        for train in self._trains.values():
            train.stop()
        self._trains = {}
        for channel in self._channels.values():
            channel.rest()
        self._channels = {
            name: channels.made(each) for name, each in wire.get("channels", {}).items()
        }
        self.bus = bus.Bus(wire["bus"]) if wire.get("bus") else None
        self.meter = meter.Meter(wire["meter"]) if wire.get("meter") else None
        return {"version": VERSION, "channels": list(self._channels)}

    def _pulse(self, asked, key):
        contact = self._named(asked[key]).contact()
        count = _whole(asked, "count", 0, 100_000, 1)
        width = _whole(asked, "width_ms", 1, _MOST_MS, 60)
        gap = _whole(asked, "gap_ms", 1, _MOST_MS, 500)
        if contact.second is not None and width + gap < 240:
            raise RequestError("a turn of two contacts takes 240 ms: width_ms and gap_ms")
        before = self._trains.pop(asked[key], None)
        if before is not None:
            before.stop()
        if count:
            self._trains[asked[key]] = pulses.Train(
                contact.pin, contact.second, 1 - contact.idle, count, width, gap
            )
        return {"ends_ms": count * (width + gap)}

    def _level(self, asked, key):
        self._named(asked[key]).contact().pin(_whole(asked, "value", 0, 1, None))

    def _voltage(self, asked, key):
        self._named(asked[key]).set(_whole(asked, "mv", 0, 5000, None))

    def _current(self, asked, key):
        self._named(asked[key]).flow(_whole(asked, "ua", 0, 22_000, None))

    def _read(self, asked, key):
        return {"value": self._named(asked[key]).read()}

    def _bus(self, asked, key):
        if self.bus is None:
            raise RequestError("no RS-485 line is wired")
        do = asked[key]
        if do == "list":
            return {"devices": self.bus.list()}
        if do not in ("add", "set", "remove"):
            raise RequestError("bus is add, set, remove or list")
        getattr(self.bus, do)(asked)
        return {}

    def _meter(self, asked, key):
        if self.meter is None:
            raise RequestError("no meter is wired")
        if asked[key] == "look":
            return {"ua": self.meter.look()}
        if asked[key] != "read":
            raise RequestError("meter is read or look")
        return self.meter.read()

    def _named(self, name):
        found = self._channels.get(_ALIASES.get(name, name)) or self._channels.get(name)
        if found is None:
            raise RequestError("there is no channel %r: %s" % (name, ", ".join(self._channels)))
        return found


def _kind(error):
    own = (RequestError, channels.ChannelError, bus.BusError)
    return "" if isinstance(error, own) else "%s: " % type(error).__name__


def _whole(asked, key, least, most, default):
    value = asked.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RequestError(
            "%s cannot be %r: a whole number from %d to %d" % (key, value, least, most)
        )
    return value


def serve():
    """Until Ctrl-C."""
    board = Board()
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    heard = None  # the UART of the line, while there is one
    line = ""
    sys.stdout.write('{"ready": "kapok-stimulus", "version": %d}\n' % VERSION)
    while True:
        uart = None if board.bus is None else board.bus.uart
        if uart is not heard:
            if heard is not None:
                poll.unregister(heard)
            if uart is not None:
                poll.register(uart, select.POLLIN)
            heard = uart
        for stream, _ in poll.poll(board.due(time.ticks_ms())):
            if stream is heard and board.bus is not None:
                board.bus.hear(time.ticks_ms())
                continue
            char = sys.stdin.read(1)
            if char != "\n":
                line = (line + char)[-_LONGEST:]
            elif line:
                sys.stdout.write(json.dumps(board.answer(line)) + "\n")
                line = ""
        board.go(time.ticks_ms())
