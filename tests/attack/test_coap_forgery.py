"""Forgery: kids that nobody has or that are another's, bits changed, reports of somebody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, NON, Message
from aiocoap.numbers import codes
from coap_rig import Node, NodeContext, Rig

from fleet.coap.security import NotAuthenticError, Security
from tests.bench import coap_bitflips


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


def outside(raw: bytes) -> codes.Code:
    """The code of an answer that is not sealed."""
    answer = Message.decode(raw)
    assert answer.opt.oscore is None
    assert answer.payload == b""
    return answer.code


async def test_attack_forged_kid_of_nobody(rig: Rig) -> None:
    forger = Node("1gntj14d2p", b"\xff\xff\xff", bytes(16))
    link = rig.link()
    raw, _ = forger.seal(fleet_rig.make_report(1, [1]))
    assert outside(await link.exchange(raw)) == codes.UNAUTHORIZED
    raw, _ = forger.seal(fleet_rig.make_report(1, [1]), mtype=NON)
    link.send(raw)
    await rig.until("unknown context", 2)
    await link.silence()
    assert rig.stored() == set()


async def test_attack_forged_kid_of_a_node(rig: Rig) -> None:
    """With a key of the forger's own."""
    victim = rig.node()
    forger = Node(victim.node_id, victim.kid, bytes(16))
    link = rig.link()
    raw, _ = forger.seal(fleet_rig.make_report(1, [1]))
    assert outside(await link.exchange(raw)) == codes.BAD_REQUEST
    raw, _ = forger.seal(fleet_rig.make_report(1, [1]), mtype=NON)
    link.send(raw)
    await rig.until("not authentic", 2)
    await link.silence()
    answer = await link.ask(victim, fleet_rig.make_report(1, [1]))
    assert answer.code == CHANGED, "the forger's number 0 did not use up the victim's"


async def test_attack_cross_node_with_the_kid_of_another(rig: Rig) -> None:
    """Node A seals by its own key and says that it is B."""
    a, b = rig.node(), rig.node()
    a.context.sender_id = b.kid
    raw, _ = a.seal(fleet_rig.make_report(1, [1]))
    assert outside(await rig.link().exchange(raw)) == codes.BAD_REQUEST
    assert rig.stored() == set()


async def test_attack_cross_node_a_report_is_stored_under_who_sealed_it(rig: Rig) -> None:
    """B's journal, epoch and all, sealed by A: it is A's. B's own stays what it was."""
    a, b = rig.node(), rig.node()
    link = rig.link()
    report = fleet_rig.make_report(7, [1, 2])
    assert (await link.ask(a, report)).code == CHANGED
    assert rig.stored() == {(a.node_id, 7, 1), (a.node_id, 7, 2)}
    assert (await link.ask(b, report)).code == CHANGED
    assert rig.counts["stored"] == 2
    assert len(rig.stored()) == 4


async def test_attack_cross_node_the_answer_to_one_does_not_open_for_another(rig: Rig) -> None:
    a, b = rig.node(), rig.node()
    raw, _ = a.seal()
    answer = await rig.link().exchange(raw)
    _, request = b.seal()
    with pytest.raises(Exception, match="Tag invalid"):
        b.open(answer, request)


async def test_attack_reflection_of_an_answer_as_a_request(rig: Rig) -> None:
    """The fleet's own Sender ID is empty, and its key is not the node's."""
    node = rig.node()
    reflected = NodeContext(node.kid, node.secret)
    reflected.sender_key, reflected.sender_id = reflected.recipient_key, b""
    node.context = reflected
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    assert outside(await rig.link().exchange(raw)) == codes.UNAUTHORIZED
    assert rig.stored() == set()


async def test_attack_bit_flips_have_no_effect() -> None:
    """A million of them: `python -m tests.bench.coap_bitflips`."""
    result = await coap_bitflips.flips(5000)
    assert result.is_clean, result
    assert result.counts["not authentic"] > 2000


async def test_sabotage_without_the_tag_flipped_bits_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A receiver that decrypts and does not look at the tag."""
    opened = Security.open

    def trusting(self: Security, binding: object, ciphertext: bytes) -> bytes:
        try:
            return opened(self, binding, ciphertext)  # type: ignore[arg-type]
        except NotAuthenticError:
            return b"\x02\xff" + ciphertext

    monkeypatch.setattr(Security, "open", trusting)
    assert not (await coap_bitflips.flips(200)).is_clean
