"""Other people's clients against the server: Debian's libcoap, and aiocoap's own with OSCORE."""

import asyncio
import shutil
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, CONTENT, GET, POST, Message
from aiocoap.numbers import codes
from coap_rig import Node, Rig

from fleet.control import operations as control
from fleet.wire import receipt

LIBCOAP = shutil.which("coap-client-notls")
needs_libcoap = pytest.mark.skipif(
    LIBCOAP is None, reason="libcoap is not installed: apt-get install libcoap3-bin"
)


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


async def libcoap(rig: Rig, path: str, *options: str, stdin: bytes = b"") -> str:
    """What coap-client prints, codes of errors among it."""
    process = await asyncio.create_subprocess_exec(
        LIBCOAP or "", *options, f"coap://127.0.0.1:{rig.server.port}/{path}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(coap_rig.PATIENCE):
        out, _ = await process.communicate(stdin)
    return out.decode().strip()


@needs_libcoap
async def test_libcoap_reads_what_is_there_and_is_refused_the_rest(rig: Rig) -> None:
    assert await libcoap(rig, ".well-known/core", "-m", "get") == "</>;osc"
    assert await libcoap(rig, "", "-m", "get") == "4.01"
    assert await libcoap(rig, "", "-m", "post", "-e", "report") == "4.01"
    assert await libcoap(rig, "d/1", "-m", "put", "-e", "x") == "4.01"
    assert await libcoap(rig, "", "-m", "get", "-s", "10", "-B", "1") == "4.01"  # observe


@needs_libcoap
async def test_libcoap_s_blocks_are_refused_at_the_first(rig: Rig, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(bytes(100_000))
    before = rig.counts["datagrams"]
    assert await libcoap(rig, "", "-m", "post", "-f", str(bomb), "-b", "256") == "4.01"
    assert rig.counts["datagrams"] == before + 1


class Client:
    """aiocoap's client as it comes, with the context of a node."""

    def __init__(self, context: aiocoap.Context, rig: Rig, node: Node) -> None:
        self._context = context
        self._base = f"coap://127.0.0.1:{rig.server.port}"
        context.client_credentials[f"{self._base}/*"] = node.context

    async def ask(self, code: object, path: str, payload: bytes = b"") -> Message:
        """A request, in blocks where it must."""
        message = Message(code=code, uri=f"{self._base}/{path}", payload=payload)
        async with asyncio.timeout(coap_rig.PATIENCE):
            return await self._context.request(message).response


@pytest_asyncio.fixture
async def context(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiocoap.Context]:
    # aiocoap's OSCORE transport imports this for EDHOC, which nobody uses here.
    monkeypatch.setitem(sys.modules, "lakers", types.ModuleType("lakers"))
    made = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    yield made
    await made.shutdown()


async def test_aiocoap_posts_a_report_and_gets_the_receipt(
    rig: Rig, context: aiocoap.Context
) -> None:
    node = rig.node()
    client = Client(context, rig, node)
    answer = await client.ask(POST, "", fleet_rig.make_report(1, [1, 2]))
    assert (answer.code, answer.payload) == (CHANGED, b"")
    assert rig.stored() == {(node.node_id, 1, 1), (node.node_id, 1, 2)}
    with rig.database.begin() as session:
        control.enqueue(session, node.node_id, control.COMMAND, b"ring")
    answer = await client.ask(POST, "", fleet_rig.make_report(1, [2, 3]))
    got = receipt.decode(answer.payload)
    assert (got.ranges, got.items) == ([(2, 3)], [[1, 3, b"ring"]])
    assert (await client.ask(GET, "nothing")).code == codes.NOT_FOUND


async def test_aiocoap_s_blocks_go_both_ways(rig: Rig, context: aiocoap.Context) -> None:
    node = rig.node()
    client = Client(context, rig, node)
    item = bytes(range(256)) * 12
    with rig.database.begin() as session:
        number = control.enqueue(session, node.node_id, control.UPDATE, item)
    fetched = await client.ask(GET, f"d/{number}")
    assert (fetched.code, fetched.payload) == (CONTENT, item)
    junk = await client.ask(POST, "", bytes(5000))
    assert junk.code == codes.BAD_REQUEST
    rows = fleet_rig.query(rig.path, "SELECT length(payload) FROM dead_letters")
    assert rows == [(5000,)]
    assert (await client.ask(POST, "", bytes(9000))).code == codes.REQUEST_ENTITY_TOO_LARGE


async def test_aiocoap_follows_a_challenge(rig: Rig, context: aiocoap.Context) -> None:
    node = rig.node()
    client = Client(context, rig, node)
    rig.distrust()
    answer = await client.ask(POST, "", fleet_rig.make_report(1, [1]))
    assert answer.code == CHANGED
    assert rig.counts["challenged"] == 1
    assert rig.stored() == {(node.node_id, 1, 1)}
