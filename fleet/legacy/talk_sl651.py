"""A connection, or datagrams of one peer, of SL 651: reports of one packet and of several, each
answered behind its commit.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from fleet.legacy.channel import SILENCE_S, Channel, Rules
from fleet.legacy.commits import Item
from fleet.legacy.intake import Arrival, Source, Stored
from fleet.legacy.mapping import Mapped
from fleet.legacy.protocols import sl651, sl651_packets
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import BEIJING, FrameError, Garbage, Value
from fleet.legacy.protocols.sl651_body import CUT

_PIECE = "an element in two frames"


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


def _beijing() -> datetime:
    return datetime.now(BEIJING).replace(microsecond=0)
