"""The VM's end of the channel: request and reply, the virtual time they carry, and idling.

Virtual time is that of the last reply plus the real time since, at most 5 ms of it, so that
computing hardly counts: a loaded machine makes no false timeout.
"""

import json
import os
import struct

import _ops
import utime
from micropython import const

_CAP = const(5000)  # us
_JOIN = const(128)  # bytes
boot_us = 0  # virtual time at which this boot began
ahead = 0  # ms by which asyncio's time lies ahead of that since this boot
sinks = {}  # UART number -> callable(bytes)
edges = {}  # pin number -> callable(bytes: the flags)
nets = {}  # socket's number -> callable(bytes: its state)
route = None  # UART number behind which IP is up, once PPP has brought it there
heeds = 0  # flags of IDLE that interrupts of the UART ask for
raw = 0  # whether the prompt speaks the raw REPL, which goes on behind a soft reset
alarm = None  # (virtual time in us, callable): what a task of the chip's own does then
flash = None
_file = None
_base = 0
_real = 0
_head = bytearray(11)


def attach(fd):
    """Use the socket that the board handed to this process."""
    global _file  # noqa: PLW0603
    _file = open(fd, "r+b")  # noqa: SIM115


def _read(size):
    data = _file.read(size)
    if len(data) != size:  # the board is gone: so is its chip, whatever the firmware would catch
        os.system("kill -9 $PPID")
    return data


def _ask(op, payload):
    # One request; how many bytes of its reply are still to be read.
    global _base, _real  # noqa: PLW0603
    size = len(payload)
    struct.pack_into("<HBq", _head, 0, size, op, stamp())
    _file.write(_head + payload if 0 < size < _JOIN else _head)
    if size >= _JOIN:  # joined, it would take as much of the heap again
        _file.write(payload)
    size, status, _base = struct.unpack("<HBq", _read(11))
    _real = utime.ticks_us()
    if status == _ops.ERROR:
        told = _read(size)
        number = struct.unpack("<h", told)[0]
        raise OSError(number, str(told[2:], "utf-8")) if size > 2 else OSError(number)
    if status == _ops.INTERRUPT:
        raise KeyboardInterrupt
    if status == _ops.ARM:
        flash.arm(*struct.unpack("<IB", _read(5)))
        size -= 5
    return size


def call(op, payload=b""):
    """One request; bytes of its reply. OSError when the board refuses."""
    size = _ask(op, payload)
    return _read(size) if size else b""


def hello():
    """What the board tells about itself and this boot."""
    return json.loads(call(_ops.HELLO))


def stamp():
    """Virtual time in us since 1970, without asking."""
    real = utime.ticks_us() - _real
    return _base + (real if real < _CAP else _CAP)


def now():
    """Virtual time in us since 1970; a loop that spins on it sees time pass."""
    if utime.ticks_us() - _real >= _CAP:
        call(_ops.NOW)
    return stamp()


def since_boot():
    """Virtual time in us since this boot began."""
    return now() - boot_us


def ticks():
    """Milliseconds for asyncio."""
    return ahead + since_boot() // 1000


def stale():
    """Whether more than 1 ms of real time passed since the board last answered."""
    return utime.ticks_us() - _real > 1000


def idle(until, flags=0):
    """Wait for virtual time `until` (-1: for ever) or an event; hand out what arrived."""
    global alarm  # noqa: PLW0603
    if alarm and not -1 < until < alarm[0]:
        until = alarm[0]
    left = _ask(_ops.IDLE, struct.pack("<qB", until, flags | heeds))
    items = []  # whoever gets one may ask the board: the reply must have been read by then
    while left:
        kind, number, size = struct.unpack("<BBH", _read(4))
        items.append(((sinks, edges, nets)[kind], number, _read(size)))
        left -= 4 + size
    for takers, number, data in items:
        if number in takers:
            takers[number](data)
    if alarm and stamp() >= alarm[0]:
        ring = alarm[1]
        alarm = None
        ring()


def sleep_until(until):
    """Wait for virtual time `until`; UART bytes are buffered meanwhile."""
    while True:
        idle(until)
        if stamp() >= until:
            return


def cut():
    """The power failed in the middle of what is done to the flash."""
    call(_ops.CUT, flash.counters())
    halt()


def halt():
    """What follows a request without reply: the board kills this process."""
    while True:
        _read(1)
