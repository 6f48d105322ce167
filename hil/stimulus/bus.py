"""Sub-devices on the node's RS-485 line: Modbus, DL/T 645 and CJ/T 188 meters.

What one holds comes with the request that hangs it there: in Modbus words by "function:register",
in DL/T 645 [count, bytes] by item, in CJ/T 188 `total` (10 l) and `status`.
"""

import time

import cjt188
import dlt645
import machine
import modbus

_PAUSE_MS = 5  # of silence ends a frame: more than 3.5 characters at 9600 baud
_LONG_PAUSE_MS = 12  # and at 2400
# Of a request: what spoils or loses answers is not played here.
KEYS = ("address", "profile", "protocol", "kind", "baud", "parity", "values", "dead", "delay_ms")
_PROTOCOLS = ("modbus", "dlt645", "cjt188")


class BusError(ValueError):
    """No such device can be there."""


class Bus:
    """`wire`: uart, tx, rx and de. All devices that answer have the line's rate and parity: it is
    that of the device which was hung there, or asked for, last.
    """

    def __init__(self, wire):
        self._wire = wire
        self._de = None if wire.get("de") is None else machine.Pin(wire["de"], machine.Pin.OUT)
        if self._de is not None:
            self._de(0)
        self._devices = {}
        self._rate = (0, 0)
        self.uart = None
        self._frame = b""
        self._last = time.ticks_ms()

    def add(self, asked):
        """Hang a device there, in the place of one with its address."""
        if asked.get("protocol") not in _PROTOCOLS:
            raise BusError("protocol is one of %s" % ", ".join(_PROTOCOLS))
        device = {"dead": False, "delay_ms": 60, "values": {}, "asked": 0}
        device.update(asked)
        device["values"] = dict(asked.get("values", {}))
        self._devices[asked["address"]] = device
        self._open(asked["baud"], asked["parity"])

    def set(self, asked):
        """Values, or faults, from now on."""
        device = self._devices.get(asked["address"])
        if device is None:
            raise BusError("no sub-device %s" % asked["address"])
        device["values"].update(asked.get("values", {}))
        for key in ("dead", "delay_ms"):
            device[key] = asked.get(key, device[key])

    def remove(self, asked):
        """It is gone."""
        if self._devices.pop(asked["address"], None) is None:
            raise BusError("no sub-device %s" % asked["address"])

    def list(self):
        """How often each was asked."""
        return {address: device["asked"] for address, device in self._devices.items()}

    def _open(self, baud, parity):
        if self._rate == (baud, parity):
            return
        self._rate = (baud, parity)
        wire = self._wire
        self.uart = machine.UART(
            wire["uart"],
            baud,
            parity=None if parity > 1 else parity,
            tx=wire["tx"],
            rx=wire["rx"],
            rxbuf=512,
        )

    def due(self, now):
        """Milliseconds until a frame has ended; None while none has begun."""
        if not self._frame:
            return None
        pause = _PAUSE_MS if self._rate[0] >= 9600 else _LONG_PAUSE_MS
        return max(0, time.ticks_diff(time.ticks_add(self._last, pause), now))

    def hear(self, now):
        """Bytes have come."""
        data = self.uart.read() if self.uart is not None else None
        if data:
            self._frame += data
            self._last = now

    def go(self, now):
        """Answer a frame that has ended."""
        if self.due(now) != 0:
            return
        frame, self._frame = self._frame, b""
        for device in self._devices.values():
            if (device["baud"], device["parity"]) != self._rate:
                continue
            answer = self._answer(device, frame)
            if answer:
                device["asked"] += 1
                if not device["dead"]:
                    time.sleep_ms(device["delay_ms"])
                    self._say(answer)

    def _say(self, data):
        if self.uart is None:
            return
        if self._de is not None:
            self._de(1)
        self.uart.write(data)
        # A character has up to eleven bits; the driver is let go when the last one has left.
        time.sleep_ms(len(data) * 11_000 // self._rate[0] + 1)
        if self._de is not None:
            self._de(0)

    def _answer(self, device, frame):
        try:
            if device["protocol"] == "modbus":
                return _modbus(device, frame)
            if device["protocol"] == "dlt645":
                return _dlt645(device, frame.lstrip(b"\xfe"))
            return _cjt188(device, frame.lstrip(b"\xfe"))
        except (modbus.ModbusError, dlt645.Dlt645Error, cjt188.Cjt188Error):
            return None


def _modbus(device, frame):
    address, pdu = modbus.decode(frame)
    if address != int(device["address"]) or len(pdu) != 5:
        return None
    function, start = pdu[0], pdu[1] << 8 | pdu[2]
    count = pdu[3] << 8 | pdu[4]
    if function not in (3, 4):
        return modbus.encode(address, bytes((function | 0x80, 1)))
    values = device["values"]
    words = [values.get("%d:%d" % (function, start + n)) for n in range(count)]
    if not 1 <= count <= 125 or all(word is None for word in words):
        return modbus.encode(address, bytes((function | 0x80, 2)))
    body = b"".join((word or 0).to_bytes(2, "big") for word in words)
    return modbus.encode(address, bytes((function, len(body))) + body)


def _dlt645(device, frame):
    sender, control, data = dlt645.decode(frame)
    own = device["address"]
    if not dlt645.matches(sender, own) and not dlt645.matches(own, sender):
        return None
    if control == 0x13:
        return b"\xfe\xfe\xfe\xfe" + dlt645.encode(own, 0x93, _packed(int(own), 6))
    item = "%08X" % int.from_bytes(data[:4], "little")
    held = device["values"].get(item)
    if control != 0x11 or held is None:
        answer = dlt645.encode(own, control | 0xC0, b"\x02")
    else:
        answer = dlt645.encode(own, control | 0x80, data[:4] + _packed(held[0], held[1]))
    return b"\xfe\xfe\xfe\xfe" + answer


def _cjt188(device, frame):
    kind, address, control, data = cjt188.decode(frame)
    own, own_kind = device["address"], device["kind"]
    if kind not in (own_kind, 0xAA) or address not in (own, "AA" * 7):
        return None
    values = device["values"]
    status = values.get("status", 0).to_bytes(2, "little")
    if control == 0x03:
        data = b"\x0a\x81" + data[2:3]
    elif control == 0x01 and data[:2] == b"\x1f\x90":
        total = _packed(values.get("total", 0), 4) + b"\x2c"
        data = data[:3] + total + bytes(4) + b"\x2c" + bytes(7) + status
    else:
        control, data = control | 0x40, data[2:3] + status
    return b"\xfe\xfe\xfe" + cjt188.encode(own_kind, own, control | 0x80, data)


def _packed(value, size):
    """Packed decimals, low byte first; the top bit of a negative value is set."""
    flat = bytearray(size)
    left = abs(value)
    for at in range(size):
        flat[at] = left % 10 | left // 10 % 10 << 4
        left //= 100
    if value < 0:
        flat[-1] |= 0x80
    return bytes(flat)
