"""The firmware's door on the VM over real UDP: to aiocoap's own server, and to the fleet's."""

import asyncio
import json
import random
import socket
import sys
import types
from pathlib import Path
from typing import Any

import aiocoap
import coap_rig
import fleet_rig
import pytest
from aiocoap import CHANGED, Message, resource
from oscore_peer import Peer

from fleet.control import operations as control
from fleet.paths import firmware_dir
from fleet.uplink import ranges
from fleet.wire import receipt, report

ROOT = Path(__file__).parents[2]
TIME_S = 1_795_392_000  # 2026-11-23 00:00:00 UTC
KID, SECRET = b"\x0a\x0b\x0c", bytes(range(16))
UNAUTHORIZED = 0x81


async def run_vm(
    micropython: list[str],
    folder: Path,
    port: int,
    kid: bytes,
    secret: bytes,
    most: int,
    steps: list[Any],
) -> Any:
    """What tests/vm/coap_client.py printed."""
    config = {"port": port, "kid": kid.hex(), "secret": bytes(secret).hex(), "most": most}
    source = folder / "steps.json"
    source.write_text(json.dumps({**config, "steps": steps}))
    process = await asyncio.create_subprocess_exec(
        *micropython, str(ROOT / "tests" / "vm" / "coap_client.py"), str(firmware_dir()),
        str(source),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return json.loads(out)


def large_report(records: int) -> tuple[bytes, bytes]:
    """A report that no encoder makes small, and the receipt for all of it."""
    chance = random.Random(1)
    bodies = [
        (n, report.encode_body(TIME_S - chance.getrandbits(20), 0, [(2, chance.getrandbits(48))]))
        for n in range(1, records + 1)
    ]
    data: bytes = report.encode(1, TIME_S, bodies, {})
    return data, bytes(receipt.encode(1, ranges.from_numbers(range(1, records + 1))))


class Context(Peer):
    """aiocoap's credentials for one node."""

    def get_oscore_context_for(self, unprotected: dict[int, bytes]) -> "Context | None":
        """This one, where the kid is its own."""
        return self if unprotected.get(4) == self.recipient_id else None


class Reports(resource.Resource):  # type: ignore[misc]
    """POST / of a server that nobody made for Kapok."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []

    async def render_post(self, request: Message) -> Message:
        """Take it."""
        self.got.append(request.payload)
        return Message(code=CHANGED)


@pytest.mark.parametrize("most", [512, 1024])
async def test_the_door_talks_to_aiocoap_s_own_server(
    micropython: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    # It imports this for EDHOC, which nobody uses here.
    monkeypatch.setitem(sys.modules, "lakers", types.ModuleType("lakers"))
    from aiocoap.credentials import CredentialsMap
    from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

    reports, site = Reports(), resource.Site()
    site.add_resource([], reports)
    credentials = CredentialsMap()
    credentials[":node"] = Context(SECRET, b"", KID)
    port = coap_port()
    server = await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, credentials), bind=("127.0.0.1", port), transports=["udp6"]
    )
    try:
        data, whole = large_report(120)
        small = b"\x02small"
        told = await run_vm(
            micropython, tmp_path, port, KID, SECRET, most,
            [["deliver", small.hex(), whole.hex()], ["deliver", data.hex(), whole.hex()],
             ["poll"]],
        )  # fmt: skip
    finally:
        await server.shutdown()
    assert told["told"] == [whole.hex(), whole.hex(), bytes(receipt.encode(0, [])).hex()]
    assert reports.got == [small, data, b""]
    assert len(data) > 1024
    assert max(told["sizes"]) <= most


def coap_port() -> int:
    """A UDP port that is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_the_door_brings_a_large_report_in_blocks_and_fetches_a_large_item(
    micropython: list[str], tmp_path: Path
) -> None:
    """BC95: no more than 512 bytes in a datagram."""
    item = random.Random(2).randbytes(1500)
    data, whole = large_report(60)
    async with coap_rig.serving(tmp_path) as rig:
        node = rig.node()
        with rig.database.begin() as session:
            number = control.enqueue(session, node.node_id, control.UPDATE, item)
        rig.distrust()  # so that its first request is challenged
        steps = [["deliver", data.hex(), whole.hex()], ["fetch", number, len(item)], ["poll"]]
        told = await run_vm(
            micropython, tmp_path, rig.server.port, node.kid, node.secret, 512, steps
        )
        rows = fleet_rig.query(rig.path, "SELECT count(*) FROM readings")
        assert rows == [(60,)]
        assert rig.counts["challenged"] == 1
    items = [[number, control.UPDATE, len(item)]]
    answers = [receipt.decode(bytes.fromhex(told["told"][n])) for n in (0, 2)]
    assert answers[0].ranges == [(1, 60)]
    assert [answer.items for answer in answers] == [items, items]
    assert bytes.fromhex(told["told"][1]) == item
    assert max(told["sizes"]) <= 512
    assert len(told["sizes"]) >= 1 + 3 + 6 + 1


async def test_a_node_with_a_key_that_the_fleet_does_not_know_is_told(
    micropython: list[str], tmp_path: Path
) -> None:
    async with coap_rig.serving(tmp_path) as rig:
        rig.node()
        told = await run_vm(micropython, tmp_path, rig.server.port, KID, SECRET, 1024, [["poll"]])
        assert told["told"][0]["cause"] == UNAUTHORIZED
        assert rig.stored() == set()
