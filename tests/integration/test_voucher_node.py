"""A node that was flashed in a basement claims its identity from `kapok serve`, by both doors."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from voucher_rig import PERSON, Basement

from fleet.flashing.vouchers import VoucherFile
from fleet.wire import cbor
from hil.virtual.node import NAMESPACE


@contextlib.asynccontextmanager
async def basement(folder: Path, door: str, **more: str) -> AsyncIterator[Basement]:
    made = Basement(folder, door, **more)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(("door", "family"), [("mqtt", "bc660k"), ("coap", "bc95")])
async def test_a_first_contact_makes_an_ordinary_node(
    tmp_path: Path, door: str, family: str
) -> None:
    """A BC95's datagrams are so small that the claim goes in blocks."""
    async with basement(tmp_path, door, family=family) as b:
        node = b.node()
        prepared = b.flash(node)
        await b.claimed(node)
        nvs = node.board.nvs
        hmac, key = nvs.get(NAMESPACE, "hmac"), nvs.get(NAMESPACE, "oscore")
        assert isinstance(hmac, bytes)
        assert len(hmac) == 32
        assert isinstance(key, bytes)
        parts = cbor.decode(key)
        assert isinstance(parts, list)
        assert [len(part) for part in parts] == [3, 16]
        assert nvs.get(NAMESPACE, "csr2") is not None
        assert (await b.vouchers())[prepared.claim_id]["state"] == "claimed"
        (told,) = await b.push()
        assert (told["node_id"], told["state"], told["refusal"]) == (node.node_id, "active", "")
        assert await b.push() == []

        await b.reported(node)
        assert (await b.vouchers())[prepared.claim_id]["state"] == "used"
        shown = (await b.vouchers())[prepared.claim_id]
        assert (shown["node_id"], shown["person"]) == (node.node_id, PERSON)
        assert b.refusals() == []


async def test_an_answer_that_is_lost_is_given_again(tmp_path: Path) -> None:
    """The power goes when the fleet has committed the claim, and before the grant was fetched."""
    async with basement(tmp_path, "coap") as b:
        node = b.node()
        prepared = b.flash(node)
        await b.started(node, lambda: b.query("SELECT * FROM voucher_claims") != [])
        await node.board.power_cut()
        assert node.board.nvs.get(NAMESPACE, "cert") is None
        ((first,),) = b.query("SELECT certificate FROM voucher_claims")
        node.board.power_on()
        await b.claimed(node)
        assert node.board.nvs.get(NAMESPACE, "cert") == first
        assert b.query("SELECT count(*) FROM certificates WHERE kind = 'node'") == [(1,)]
        await b.reported(node)
        assert (await b.vouchers())[prepared.claim_id]["state"] == "used"


async def test_of_two_boards_with_one_voucher_exactly_one_wins(tmp_path: Path) -> None:
    async with basement(tmp_path, "mqtt") as b:
        first, second = b.node("1"), b.node("2")
        prepared = b.flash(first)
        assert [told["state"] for told in await b.push()] == ["pending"]
        theirs = b.prepare(second)
        copied = {key: prepared.values[NAMESPACE][key] for key in ("vid", "vkey", "vcert", "vosc")}
        theirs.values[NAMESPACE].update(copied)
        b.flash(second, theirs)
        await b.claimed(first)
        await second.board.run_until(lambda: second.board.state == "asleep", 60)
        assert second.board.nvs.get(NAMESPACE, "cert") is None
        assert b.query("SELECT id FROM terminals") == [(first.node_id,)]
        (refusal,) = b.refusals()
        assert second.node_id in refusal
        await b.reported(first)


async def test_attack_the_vouchers_of_a_stolen_laptop(tmp_path: Path) -> None:
    async with basement(tmp_path, "mqtt") as b:
        node = b.node()
        b.flash(node)
        await b.fleet.command("voucher", "revoke", "--person", PERSON)
        await node.board.run_until(lambda: node.board.life.sleeps >= 2, 60)
        assert node.board.nvs.get(NAMESPACE, "cert") is None
        assert b.query("SELECT count(*) FROM terminals") == [(0,)]
        b.file = VoucherFile(tmp_path / "new-laptop.json")
        await b.pull()
        again = b.prepare(node)
        b.flash(node, again)
        await b.claimed(node)
