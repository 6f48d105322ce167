"""Fragment bombs: blocks without end, by strangers outside and by a node inside."""

from collections.abc import AsyncIterator
from pathlib import Path

import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, POST, Message
from aiocoap.numbers import codes
from coap_rig import Rig

from fleet.coap import blocks
from fleet.coap.protected import Protected


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


def kept(rig: Rig) -> list[int]:
    """Bytes of each report that is not whole yet."""
    assemblies = rig.server.site._protected._assemblies
    return [len(assembly.data) for assembly in assemblies._of.values()]


async def test_attack_fragment_bomb_by_strangers(rig: Rig) -> None:
    """Plain blocks, and blocks around a protected request, as a proxy might make them."""
    node, link = rig.node(), rig.link()
    for n in range(20):
        block = Message(code=POST, block1=(n, True, 6), payload=bytes(1024))
        said = Message.decode(await link.exchange(coap_rig.encoded(block)))
        assert said.code == codes.UNAUTHORIZED
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    outer = Message.decode(raw)
    for option in ("block1", "block2"):
        wrapped = Message(code=POST, oscore=outer.opt.oscore, payload=outer.payload)
        setattr(wrapped.opt, option, (0, True, 6))
        said = Message.decode(await link.exchange(coap_rig.encoded(wrapped)))
        assert said.code == codes.BAD_OPTION
    assert kept(rig) == []
    assert rig.stored() == set()
    assert rig.counts["foreign option"] == 2


async def test_attack_fragment_bomb_by_a_node(rig: Rig) -> None:
    """Its own key, and more than a report may have: what is kept ends at 8,192 bytes."""
    node, link = rig.node(), rig.link()
    for n in range(12):
        answer = await link.ask(node, bytes(1024), block1=(n, True, 6))
        refused = codes.REQUEST_ENTITY_TOO_LARGE if n >= 8 else codes.CONTINUE
        assert answer.code == refused
        assert sum(kept(rig)) <= blocks.MOST_BYTES
    assert kept(rig) == []
    for _ in range(20):
        answer = await link.ask(node, bytes(1024), block1=(0, True, 6))
        assert answer.code == codes.CONTINUE
        assert kept(rig) == [1024], "one report for each node"
    answer = await link.ask(node, fleet_rig.make_report(1, [1]))
    assert answer.code == CHANGED


async def test_attack_fragment_bomb_by_many_nodes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "ASSEMBLIES", 4)
    link = rig.link()
    for node in [rig.node() for _ in range(8)]:
        await link.ask(node, bytes(1024), block1=(0, True, 6))
        assert len(kept(rig)) <= 4


async def test_attack_replayed_fragment_changes_nothing(rig: Rig) -> None:
    """The first block again would begin the report anew, in the middle of it."""
    node, link = rig.node(), rig.link()
    report = bytes(range(40))
    raw, request = node.seal(report[:16], block1=(0, True, 0))
    assert node.open(await link.exchange(raw), request).code == codes.CONTINUE
    assert (await link.ask(node, report[16:32], block1=(1, True, 0))).code == codes.CONTINUE
    assert Message.decode(await rig.link().exchange(raw)).code == codes.UNAUTHORIZED
    assert kept(rig) == [32]


async def test_sabotage_a_block_that_counts_before_it_is_struck(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder then puts a node's report back to its beginning."""
    work = Protected._work

    def hasty(self: Protected, known: object, request: object) -> object:
        made = work(self, known, request)  # type: ignore[arg-type]
        made.answered(None)  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(Protected, "_work", hasty)
    node, link = rig.node(), rig.link()
    raw, _ = node.seal(bytes(16), block1=(0, True, 0))
    await link.exchange(raw)
    await link.ask(node, bytes(16), block1=(1, True, 0))
    rig.server.contexts._proven.clear()
    monkeypatch.setattr("fleet.coap.contexts.STRUCK", 0)
    await rig.link().exchange(raw)
    assert kept(rig) == [16]
