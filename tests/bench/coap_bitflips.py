"""Datagrams with bits changed, against the server: `python -m tests.bench.coap_bitflips`.

Each datagram gets by the socket, but not by the limits, which would drop all but a few. None of
them may be answered under OSCORE or leave anything in the database.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import coap_rig
import fleet_rig
from aiocoap import Message

from fleet.coap.exchanges import Peer

AT_ONCE = 200
SEED = 8613


class Result(NamedTuple):
    """What the server said; `sealed` answers, records `stored` and letters `buried` must be 0."""

    said: Counter[str]
    counts: dict[str, int]
    sealed: int
    stored: int
    buried: int

    @property
    def is_clean(self) -> bool:
        """Whether no changed datagram had any effect."""
        return not self.sealed and not self.stored and not self.buried


def every_bit(raw: bytes) -> Iterator[bytes]:
    """`raw` with each of its bits changed, one at a time."""
    for n in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[n // 8] ^= 1 << n % 8
        yield bytes(changed)


def some_bits(datagrams: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` times one of them, with 1 to 4 bits changed."""
    chance = random.Random(seed)
    for _ in range(count):
        raw = bytearray(chance.choice(datagrams))
        for n in {chance.randrange(8 * len(raw)) for _ in range(chance.choice((1, 1, 1, 2, 4)))}:
            raw[n // 8] ^= 1 << n % 8
        yield bytes(raw)


def is_harmless(changed: bytes, originals: set[bytes]) -> bool:
    """Whether the change is outside of what OSCORE protects: type, message ID and token.

    Such a datagram is the node's own request still (RFC 8613, 4.3), and is answered like it.
    """
    return b"\x40" + changed[1:2] + changed[4:] in originals and changed[0] in (0x40, 0x50)


async def flips(count: int, seed: int = SEED) -> Result:
    """Every bit of one datagram, and `count` random changes of many."""
    with tempfile.TemporaryDirectory(prefix="kapok-flips-") as folder:
        async with coap_rig.serving(Path(folder)) as rig:
            coap_rig.without_limits(rig)
            node = rig.node()
            originals = [node.seal(fleet_rig.make_report(1, [n]))[0] for n in range(1, 50)]
            bare = {b"\x40" + raw[1:2] + raw[4:] for raw in originals}
            said: Counter[str] = Counter()
            sealed = await _play(rig, every_bit(originals[0]), bare, said)
            sealed += await _play(rig, some_bits(originals, count, seed), bare, said)
            buried = fleet_rig.query(rig.path, "SELECT count(*) FROM dead_letters")[0][0]
            return Result(said, dict(rig.counts), sealed, len(rig.stored()), buried)


async def _play(
    rig: coap_rig.Rig, changed: Iterator[bytes], bare: set[bytes], said: Counter[str]
) -> int:
    sealed = 0

    def answered(raw: bytes, peer: Peer) -> None:
        nonlocal sealed
        message = Message.decode(raw)
        said[str(message.code)[:4]] += 1
        sealed += message.opt.oscore is not None

    rig.server.udp.send_raw = answered  # type: ignore[method-assign]
    for n, raw in enumerate(changed):
        if not is_harmless(raw, bare):
            rig.server.udp.take(raw, Peer(("::ffff:127.0.0.1", 4000, 0, 0), None, raw))
        if n % AT_ONCE == 0:
            await rig.server.site.idle()
    await rig.server.site.idle()
    return sealed


def main() -> None:
    """Print what was said; exit code 1 when a changed datagram had an effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    result = asyncio.run(flips(given.count, given.seed))
    print(f"{given.count:,} changed datagrams: {result.counts}")
    print(f"answered under OSCORE {result.sealed}, stored {result.stored}, kept {result.buried}")
    sys.exit(0 if result.is_clean else 1)


if __name__ == "__main__":
    main()
