"""Floods: masses of datagrams from strangers cost bounded memory, and no database read each."""

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, POST, Message
from aiocoap.error import UnparsableMessage
from coap_rig import Link, Node, Rig
from sqlalchemy import event

from fleet.coap import limits
from fleet.coap.exchanges import Peer

FLOOD = 4000


class Counted(Rig):
    """Counts the queries, whatever they ask."""

    def watch(self) -> None:
        """From now on."""
        self.queries = 0

        @event.listens_for(self.database.engine, "before_cursor_execute")
        def count(_c: object, _u: object, statement: str, *_more: object) -> None:
            self.queries += not statement.startswith("BEGIN")

    async def flood(self, datagrams: list[bytes], addresses: list[str]) -> None:
        """Each from another address in turn, all in one moment of the limits' clock."""
        now = time.monotonic()
        self.server.limits._clock = lambda: now
        for n, raw in enumerate(datagrams):
            source = (addresses[n % len(addresses)], 1024 + n % 60_000, 0, 0)
            self.server.udp.take(raw, Peer(source, None, raw))
            if n % 50 == 0:
                await self.server.site.idle()
        await self.server.site.idle()
        self.server.limits._clock = time.monotonic


@pytest_asyncio.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    monkeypatch.setattr(coap_rig, "Rig", Counted)
    async with coap_rig.serving(tmp_path) as made:
        assert isinstance(made, Counted)
        yield made


def forged(count: int, kid: bytes = b"") -> list[bytes]:
    """Datagrams that look like a node's; with random kids unless one is given."""
    chance = random.Random(9175)
    made = []
    for n in range(count):
        option = b"\x09" + bytes([n & 0xFF]) + (kid or chance.randbytes(3))
        outer = Message(code=POST, oscore=option, payload=chance.randbytes(30))
        made.append(coap_rig.encoded(outer))
    return made


def addresses(count: int) -> list[str]:
    return [f"::ffff:198.51.{n // 250}.{n % 250}" for n in range(count)]


async def reports(link: Link, node: Node, numbers: range) -> None:
    for n in numbers:
        assert (await link.ask(node, fleet_rig.make_report(1, [n]))).code == CHANGED


async def test_attack_flood_of_forged_kids_from_one_address(rig: Counted) -> None:
    """What comes in one moment is looked at together; the rest is dropped before anything."""
    node, link = rig.node(), rig.link()
    await reports(link, node, range(1, 3))
    rig.watch()
    await rig.flood(forged(FLOOD), addresses(1))
    assert rig.queries <= -(-limits.ADDRESS.burst // limits.FORGED)
    assert rig.counts["limited"] >= FLOOD - 60
    assert len(rig.server.exchanges.recent) == 2, "of the node's two requests"
    await reports(link, node, range(3, 6))


async def test_attack_flood_of_forged_tags_for_a_node_from_one_network(rig: Counted) -> None:
    """Its context is in memory: no read at all, and the node itself is heard."""
    node, link = rig.node(), rig.link()
    await reports(link, node, range(1, 3))
    rig.watch()
    await rig.flood(forged(FLOOD, node.kid), addresses(200))
    assert rig.queries == 0
    assert rig.counts["not authentic"] <= limits.NETWORK.burst / limits.FORGED + 10
    await reports(link, node, range(3, 6))


def has_oscore(raw: bytes) -> bool:
    """As some of any bytes may: a kid is looked up."""
    try:
        return Message.decode(raw).opt.oscore is not None
    except (UnparsableMessage, UnicodeDecodeError):
        return False


async def test_attack_flood_without_oscore(rig: Counted) -> None:
    garbage = [b"\x40\x02" + bytes([n & 255, n >> 8]) * 9 for n in range(FLOOD)]
    rig.watch()
    plain = [coap_rig.encoded(Message(code=POST, payload=b"%d" % n)) for n in range(FLOOD)]
    await rig.flood(plain, addresses(10))
    await rig.flood([raw for raw in garbage if not has_oscore(raw)], addresses(9))
    assert rig.queries == 0
    assert len(rig.server.exchanges.recent) == 0


async def test_attack_flood_of_kids_from_addresses_without_end(rig: Counted) -> None:
    """Spoofed: each address has its bucket, so kids are looked up, many by one query."""
    rig.watch()
    await rig.flood(forged(FLOOD), addresses(FLOOD))
    assert rig.counts["unknown context"] > FLOOD / 2
    assert rig.queries <= FLOOD / 50 + 1
    assert len(rig.server.contexts._unproven) <= 1024
    assert rig.server.contexts._waiting == {}


async def test_attack_flood_of_one_recording(rig: Counted) -> None:
    """From addresses without end: it is known here that its number is used."""
    node, link = rig.node(), rig.link()
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    await link.exchange(raw)
    rig.watch()
    await rig.flood([raw] * FLOOD, addresses(FLOOD))
    assert rig.counts["replay refused"] > FLOOD / 2
    assert rig.queries == 0
    await reports(link, node, range(2, 4))


async def test_sabotage_without_limits_the_flood_reaches_the_database(rig: Counted) -> None:
    coap_rig.without_limits(rig)
    rig.watch()
    for raw in forged(200):
        await rig.flood([raw], addresses(1))
    assert rig.queries == 200


async def test_nodes_behind_one_address_are_all_heard(rig: Counted) -> None:
    """More at once than the address has tokens: those that prove to be nodes give them back."""
    nodes = [rig.node() for _ in range(20)]
    link = rig.link()
    for turn in range(1, 21):
        made = [node.seal(fleet_rig.make_report(1, [turn])) for node in nodes]
        for raw, _ in made:
            link.send(raw)
        for _ in made:
            assert Message.decode(await link.receive()).code == CHANGED
    assert rig.counts["limited"] == 0
    assert len(rig.stored()) == 400 > limits.ADDRESS.burst
