"""What stations say, protocol by protocol, and what is answered: bytes in, items and answers out.

Nothing here ever asks, sets or switches anything at the other end: it only answers data.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from fleet.legacy.commits import Item
from fleet.legacy.intake import Arrival, Source, Stored, variant_hold
from fleet.legacy.mapping import Mapped, Meanings
from fleet.legacy.protocols import hj212, sl651, sl651_packets
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import BEIJING, FrameError, Garbage, Value
from fleet.legacy.protocols.sl651_body import CUT

# A frame of which nothing came for so long was cut short, or its length was damaged: without an
# end of the wait the good frames behind it would be taken for the rest of it.
SILENCE_S = 10.0


class Channel(Protocol):
    """Where the bytes come from, and answers go. `host` is the peer's address."""

    host: str

    def commit(self, source: Source, item: Item) -> None:
        """Have it committed."""

    def send(self, data: bytes) -> None:
        """Answer; to a peer that is gone it goes nowhere."""

    def proven(self) -> None:
        """A whole frame has come."""

    def bad(self, what: str, size: int) -> None:
        """So many bytes were no frame, or none that is taken."""

    def parts(self, size: int) -> bool:
        """So many bytes wait for others of their message, 0: none any more. False: too many."""


class Rules:
    """What all talks of a listener share. `allowed`: MNs of which the CRC of MODBUS is taken."""

    def __init__(self, meanings: Meanings) -> None:
        self.meanings = meanings
        self.allowed: frozenset[str] = frozenset()


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


class Sl651:
    """A connection, or datagrams of one peer, of SL 651."""

    silence_s = SILENCE_S

    def __init__(self, rules: Rules, channel: Channel) -> None:
        self._rules = rules
        self._channel = channel
        self._splitter = sl651.splitter()
        self._parts: sl651_packets.Assembler | None = None
        self._finished: sl651_packets.Finished | None = None
        self._held = 0
        self._cut = ""  # the station of which the last frame ended within an element

    def feed(self, data: bytes) -> int:
        """Take what came; how many frames that were."""
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
                message = sl651.decode(one)
            except FrameError:
                self._channel.bad("undecodable", len(one))
                self._keep_rest(one)
                continue
            if not message.up:
                self._channel.bad("from a centre", len(one))
                continue
            self._channel.proven()
            self._take(message, one)
        return count

    def close(self) -> None:
        """The connection is gone."""

    def _take(self, message: sl651.Message, frame: bytes) -> None:
        if message.function == words.KEEP_ALIVE:
            return
        if message.part is None:
            self._commit(message, frame, lambda: sl651.answer(message, at=_beijing()))
        else:
            self._take_part(message, message.part[0], frame)

    def _take_part(self, message: sl651.Message, place: int, frame: bytes) -> None:
        parts = self._parts = self._parts or sl651_packets.Assembler()
        done = self._finished
        if done is not None and not parts.is_open(message) and done.is_repeat(message):
            # Its EOT was lost, or the station ends a repair with the last packet once more.
            if done.is_safe and (message.end == words.ETX or place == done.place):
                self._tell(done.answer(_beijing()))
            return
        try:
            whole = parts.take(message)
        except FrameError:
            self._channel.bad("undecodable", len(frame))
            self._forget()
            return
        if whole is None:
            closing = parts.closing(message)
            if closing is not None:
                # A NAK promises nothing, and may go at once.
                missing = parts.missing(message)
                self._tell(sl651_packets.answer(closing, None, missing, _beijing()))
            self._held += len(frame)
            if not self._channel.parts(self._held):
                self._forget()
            return
        finished = self._finished = parts.finished
        self._forget()
        if finished is not None:
            self._commit(whole, frame, lambda: finished.answer(_beijing()), finished)

    def _commit(
        self, whole: sl651.Message, frame: bytes, answer: Callable[[], bytes | None],
        finished: sl651_packets.Finished | None = None,
    ) -> None:  # fmt: skip
        now_us = time.time_ns() // 1000
        arrivals = self._arrivals(whole, frame, now_us)
        left = len(arrivals)
        safe = True

        def done(stored: Stored) -> None:
            nonlocal left, safe
            left -= 1
            safe = safe and stored.is_safe
            if left:
                return
            if safe:
                if finished is not None:
                    finished.is_safe = True
                self._tell(answer())
            elif finished is not None and self._finished is finished:
                self._finished = None  # when it is repeated it is taken anew

        for arrival, mapped in arrivals:
            self._channel.commit(arrival.source, Item(arrival, done, mapped.unmapped))

    def _tell(self, told: bytes | None) -> None:
        if told is not None:
            self._channel.send(told)

    def _arrivals(
        self, message: sl651.Message, frame: bytes, now_us: int
    ) -> list[tuple[Arrival, Mapped]]:
        """One for each station: behind a relay there are several in one report."""
        stations: dict[str, list[Value]] = {}
        for value in sl651.values(message):
            stations.setdefault(value.source or message.station, []).append(value)
        if not stations:
            stations[message.station] = []
        sent = message.sent
        # What tells no time of its own is of the time that the report was sent.
        default_us = now_us if sent is None else int(sent.astimezone(UTC).timestamp()) * 1_000_000
        made = []
        for station, values in stations.items():
            mapped = self._rules.meanings.sl651(values, default_us)
            source = Source("sl651", station)
            made.append(
                (Arrival(source, mapped.values, now_us, frame, self._channel.host), mapped)
            )
        self._cut = message.station if CUT in message.notes else ""
        if self._cut:
            made.append((self._piece(frame, now_us), Mapped([], [])))
        return made

    def _keep_rest(self, frame: bytes) -> None:
        """What begins within an element that the frame before it cut: not answered, and kept."""
        if self._cut:
            arrival = self._piece(frame, time.time_ns() // 1000)
            self._channel.commit(arrival.source, Item(arrival, lambda _stored: None))

    def _piece(self, frame: bytes, now_us: int) -> Arrival:
        """The bytes of half an element, for somebody to look at."""
        source = Source("sl651", self._cut)
        return Arrival(source, (), now_us, frame, self._channel.host, _PIECE)

    def _forget(self) -> None:
        self._parts, self._held = None, 0
        self._channel.parts(0)


_PIECE = "an element in two frames"
Talk = Hj212 | Sl651
MakeTalk = Callable[[Rules, Channel], Talk]
KINDS: dict[str, MakeTalk] = {"hj212": Hj212, "sl651": Sl651}


def _beijing() -> datetime:
    return datetime.now(BEIJING).replace(microsecond=0)
