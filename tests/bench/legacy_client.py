"""Ten thousand stations of HJ 212 on one core: each says something, waits for its answer, goes on.

For the echo server the same bytes; whatever comes back in full is its answer.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence

from fleet.legacy.descriptors import make_room
from fleet.legacy.protocols import crc

_AT_ONCE = 200  # connections that are being opened
_SOURCES = 20  # addresses of 127.0.0.0/8 that they come from: each has 28,000 ports
# Four factors of a sewage outfall with their flags.
_DATA = (
    "QN={qn};ST=32;CN=2011;PW=100000;MN={mn};Flag=5;CP=&&DataTime={at};"
    "w01018-Rtd=21.{n:02d},w01018-Flag=N;w21003-Rtd=1.2{n:02d},w21003-Flag=N;"
    "w01001-Rtd=7.{n:02d},w01001-Flag=N;w00000-Rtd=12.3{n:02d},w00000-Flag=N&&"
)


def mn(place: int) -> str:
    """The device's number of a station."""
    return f"010000A8900016F0{place:08d}"


class Station(asyncio.Protocol):
    """One connection. `waits`: when what it said last went out."""

    def __init__(self, load: "Load", place: int) -> None:
        self.load, self.place = load, place
        self.sent = 0
        self.waits: float | None = None
        self.got = bytearray()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        self.got += data
        if not self.got.endswith(b"\r\n") or self.waits is None:
            return
        self.got.clear()
        self.load.answered(time.perf_counter() - self.waits)
        self.waits = None
        if self.load.closed:
            self.say()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        self.load.lost += 1
        self.load.heard.set()

    def say(self) -> None:
        """The next frame."""
        if self.waits is not None or self.transport is None:
            return
        self.sent += 1
        at = time.strftime("%Y%m%d%H%M%S", time.localtime(self.load.begin + self.sent))
        text = _DATA.format(qn=f"{at}{self.place % 1000:03d}", mn=mn(self.place), at=at,
                            n=self.sent % 100).encode()  # fmt: skip
        self.waits = time.perf_counter()
        self.transport.write(b"##%04d%b%04X\r\n" % (len(text), text, crc.hj212(text)))


class Load:
    """All stations. `closed`: each goes on when it was answered."""

    def __init__(self) -> None:
        self.begin = int(time.time()) - 300 * 86400
        self.times: list[float] = []
        self.lost = 0
        self.closed = False
        self.heard = asyncio.Event()

    def answered(self, seconds: float) -> None:
        """One answer more."""
        self.times.append(seconds)
        self.heard.set()

    async def quiet(self, stations: Sequence[Station]) -> None:
        """Until all of these were answered, or a connection was lost."""
        while any(one.waits is not None for one in stations) and not self.lost:
            self.heard.clear()
            await self.heard.wait()


async def _open(load: Load, port: int, count: int) -> list[Station]:
    loop = asyncio.get_running_loop()
    stations = [Station(load, place) for place in range(count)]
    for first in range(0, count, _AT_ONCE):
        some = stations[first : first + _AT_ONCE]
        await asyncio.gather(
            *(
                loop.create_connection(
                    lambda one=one: one, "127.0.0.1", port,  # type: ignore[misc]
                    local_addr=(f"127.0.1.{1 + one.place % _SOURCES}", 0),
                )
                for one in some
            )
        )  # fmt: skip
        for one in some:
            one.say()
        await load.quiet(some)
    return stations


async def _saturated(load: Load, stations: list[Station], seconds: float) -> dict[str, float]:
    """All of them say the next thing as soon as they are answered."""
    load.times.clear()
    load.closed = True
    begin = time.perf_counter()
    for one in stations:
        one.say()
    await asyncio.sleep(seconds)
    took, count = time.perf_counter() - begin, len(load.times)
    load.closed = False
    return {"answers": count, "seconds": took, **_percentiles(load.times)}


async def _steady(
    load: Load, stations: list[Station], seconds: float, each_s: float
) -> dict[str, float]:
    """Each says something every `each_s`, evenly spread."""
    await load.quiet(stations)
    load.times.clear()
    begin = time.perf_counter()
    said = 0
    while (now := time.perf_counter() - begin) < seconds:
        due = int(now / each_s * len(stations))
        while said < due:
            stations[said % len(stations)].say()
            said += 1
        await asyncio.sleep(0.002)
    await asyncio.sleep(1.0)
    return {"answers": len(load.times), "seconds": seconds, **_percentiles(load.times)}


def _percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times) or [0.0]
    return {
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
        "p99_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 1),
    }


async def _main(port: int, count: int, seconds: float, each_s: float) -> None:
    load = Load()
    stations = await _open(load, port, count)

    def step(name: str, told: object) -> None:
        print(json.dumps({name: told}), flush=True)
        input()  # the other end measures meanwhile

    step("open", {"connections": count - load.lost})
    step("saturated", await _saturated(load, stations, seconds))
    if each_s:
        step("steady", await _steady(load, stations, seconds, each_s))
    said = sum(one.sent for one in stations)
    await load.quiet(stations)
    step("done", {"frames": said, "lost": load.lost})


def main() -> None:
    """One JSON line for each phase; on with each line that is read."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--each", type=float, default=10.0)
    parser.add_argument("--core", type=int, default=1)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {asked.core})
    make_room(asked.connections)
    asyncio.run(_main(asked.port, asked.connections, asked.seconds, asked.each))


if __name__ == "__main__":
    main()
