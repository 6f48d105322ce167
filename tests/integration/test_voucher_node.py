"""A node that was flashed in a basement claims its identity from `kapok serve`, by both doors."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from voucher_rig import NAMESPACE, PERSON, Basement

from fleet.wire import cbor


@contextlib.asynccontextmanager
async def basement(folder: Path, door: str, **more: str) -> AsyncIterator[Basement]:
    made = Basement(folder, door, **more)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(("door", "family"), [("mqtt", "bc660k"), ("coap", "bc660k")])
async def test_a_first_contact_makes_an_ordinary_node(
    tmp_path: Path, door: str, family: str
) -> None:
    async with basement(tmp_path, door, family=family) as b:
        node = b.node()
        prepared = b.flash(node)
        await b.claimed(node)
        nvs = node.board.nvs
        assert len(nvs.get(NAMESPACE, "hmac") or b"") == 32  # type: ignore[arg-type]
        key = nvs.get(NAMESPACE, "oscore")
        assert isinstance(key, bytes)
        assert [len(part) for part in cbor.decode(key)] == [3, 16]  # type: ignore[union-attr]
        assert nvs.get(NAMESPACE, "csr2") is not None
        assert (await b.vouchers())[prepared.claim_id]["state"] == "claimed"

        await b.reported(node)
        assert (await b.vouchers())[prepared.claim_id]["state"] == "used"
        shown = (await b.vouchers())[prepared.claim_id]
        assert (shown["node_id"], shown["person"]) == (node.node_id, PERSON)
        assert b.refusals() == []
