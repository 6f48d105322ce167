"""A connection of HJ 212: its packets are committed, and answered behind their commit."""

import time
from dataclasses import replace

from fleet.legacy.channel import SILENCE_S, Channel, Rules
from fleet.legacy.commits import Item
from fleet.legacy.intake import Arrival, Source, Stored, variant_hold
from fleet.legacy.protocols import hj212
from fleet.legacy.protocols.frame import FrameError, Garbage


class Hj212:
    """A connection of HJ 212."""

    silence_s = SILENCE_S

    def __init__(self, rules: Rules, channel: Channel) -> None:
        self._rules = rules
        self._channel = channel
        self._splitter = hj212.splitter(hj212.MODBUS_CRC)
        self._message: tuple[str, str, int | None] | None = None  # of the newest part with a time
        self._at = ""
        self._qn: str | None = None
        self._pno = 0  # both of the newest part that has or got that time

    def feed(self, data: bytes) -> int:
        """Take what came; how many frames that were."""
        whole = self._alone(data)
        if whole is not None:
            self._channel.proven()
            self._take(whole, data)
            return 1
        return self._frames(self._splitter.feed(data))

    @property
    def is_holding(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return not self._splitter.is_empty

    def flush(self) -> int:
        """Nothing more of that frame will come; how many frames are behind its beginning."""
        return self._frames(self._splitter.flush())

    def _frames(self, cut: list[bytes | Garbage]) -> int:
        count = 0
        for one in cut:
            if isinstance(one, Garbage):
                self._channel.bad("garbage", len(one.data))
                continue
            count += 1
            try:
                packet = hj212.decode(one, hj212.MODBUS_CRC)
            except FrameError:
                self._channel.bad("undecodable", len(one))
                continue
            self._channel.proven()
            self._take(packet, one)
        return count

    def close(self) -> None:
        """The connection is gone."""

    def _alone(self, data: bytes) -> hj212.Packet | None:
        """The packet that came whole and alone, as most do; None: look closer."""
        head = data[:6]
        if not self._splitter.is_empty or head[:2] != b"##" or not head[2:].isdigit():
            return None
        if len(data) != int(head[2:]) + hj212.OVERHEAD:
            return None
        try:
            return hj212.decode(data, hj212.MODBUS_CRC)
        except FrameError:
            return None

    def _take(self, packet: hj212.Packet, frame: bytes) -> None:
        if (packet.pnum or 1) > 1:
            timed = self._timed(packet)
            if timed is None:
                # It cannot be stored alone: its sender repeats it, behind the first.
                self._channel.bad("parts without a time", 0)
                return
            packet = timed
        if packet.kind not in ("upload", "notice"):
            self._channel.bad("neither data nor notice", 0)
            return
        now_us = time.time_ns() // 1000
        mapped = self._rules.meanings.hj212(packet.cn, hj212.values(packet), now_us)
        hold = ""
        if packet.variant and packet.mn not in self._rules.allowed:
            hold = variant_hold(packet.variant)
        source = Source("hj212", packet.mn)
        arrival = Arrival(source, mapped.values, now_us, frame, self._channel.host, hold)

        def done(stored: Stored) -> None:
            if not stored.is_safe or hold:
                return
            told = hj212.answer(packet)
            if told is not None:
                self._channel.send(told)

        variant = "" if hold else packet.variant or ""
        self._channel.commit(source, Item(arrival, done, mapped.unmapped, variant=variant))

    def _timed(self, part: hj212.Packet) -> hj212.Packet | None:
        """One packet of several as one that says all by itself: with the time of its message.

        The standard has the time in each; some devices have it in the first alone. A part is of
        the same message when it has the same QN or is the next of it: else a first one was lost.
        """
        message = (part.mn, part.cn, part.pnum)
        at = part.get("DataTime")
        if at is not None:
            self._message, self._at = message, at
            self._qn, self._pno = part.qn, part.pno or 1
            return part
        if message != self._message:
            return None
        if part.pno != self._pno + 1 and (not part.qn or part.qn != self._qn):
            return None
        self._qn, self._pno = part.qn, part.pno or 1
        return replace(part, groups=((("DataTime", self._at),), *part.groups))
