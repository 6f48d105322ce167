"""The node's door on the MicroPython VM, by mutual TLS to a real broker, with receipts."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from node.wire import receipt, report

from tests.support.door_broker import BROKERS, Messages, down, fleet
from tests.support.door_vm import NODE, DoorVm, build
from tests.support.pki import Pki

EPOCH = 464374526


@pytest.fixture
async def vm(tmp_path: Path) -> DoorVm:
    await build(tmp_path)
    pki = Pki()
    return DoorVm(tmp_path, pki, pki.leaf(NODE))


@pytest.fixture(params=list(BROKERS))
async def port(request: pytest.FixtureRequest, vm: DoorVm) -> AsyncIterator[int]:
    async with BROKERS[request.param](vm.folder, vm.pki) as number:
        yield number


def a_report(first: int, count: int, spread: int = 1) -> bytes:
    """`spread`: what the values differ by at most; a large one leaves nothing to be saved."""
    bodies = [
        (
            sequence,
            report.encode_body(
                1795411856 + sequence,
                report.GOOD,
                [(q, pow(sequence, 7, spread * q)) for q in (2, 5)],
            ),
        )
        for sequence in range(first, first + count)
    ]
    encoded: bytes = report.encode(EPOCH, 1795411856, bodies, {report.DEPTH: count})
    return encoded


def own(data: bytes) -> bytes:
    """The receipt that the fleet gives for a report."""
    got = report.decode(data)
    encoded: bytes = receipt.encode(
        got.epoch, [(got.records[0].sequence, got.records[-1].sequence)]
    )
    return encoded


def faithful(data: bytes) -> Messages:
    return [(down("receipt"), own(data))]


def silent(_data: bytes) -> Messages:
    return []


def noisy(data: bytes) -> Messages:
    """Everything that is no receipt for this report, then the receipt."""
    got = report.decode(data)
    last = got.records[-1].sequence
    return [
        (down("receipt"), receipt.encode(EPOCH + 1, [(1, 1000)])),  # of another journal
        (down("receipt"), receipt.encode(EPOCH, [(last + 1, last + 50)])),  # of another report
        (down("receipt"), receipt.encode(EPOCH, [(last + 1, last + 1), (last + 3, last + 9)])),
        (down("receipt"), b""),
        (down("receipt"), b"\xa3\x00\x01"),
        (down("receipt"), b"\xff" * 500),
        (down("config"), own(data)),
        (down("receipt", "1gntj14d2q"), own(data)),
        (down("receipt"), own(data)),
    ]


async def test_report_goes_out_and_its_receipt_comes_back(vm: DoorVm, port: int) -> None:
    sent = a_report(1, 48)
    async with fleet(port, vm.folder, vm.pki, faithful) as reports:
        result = await vm.run(port, "deliver", reports=[sent])
    assert result.get("receipts") == [own(sent).hex()], result
    assert reports == [(f"k1/{NODE}/up/report", sent)]


async def test_reports_of_one_contact_share_the_connection(vm: DoorVm, port: int) -> None:
    sent = [a_report(1 + 40 * i, 40) for i in range(4)]
    async with fleet(port, vm.folder, vm.pki, faithful) as reports:
        result = await vm.run(port, "deliver", reports=sent)
    assert result.get("receipts") == [own(data).hex() for data in sent], result
    assert [data for _, data in reports] == sent


async def test_what_is_no_receipt_for_this_report_is_ignored(vm: DoorVm, port: int) -> None:
    sent = [a_report(1, 3), a_report(4, 3)]
    async with fleet(port, vm.folder, vm.pki, noisy):
        result = await vm.run(port, "deliver", reports=sent)
    assert result.get("receipts") == [own(data).hex() for data in sent], result


async def test_sabotage_any_receipt_is_taken_for_ours(vm: DoorVm, port: int) -> None:
    sent = a_report(1, 3)
    async with fleet(port, vm.folder, vm.pki, noisy):
        result = await vm.run(port, "deliver", reports=[sent], sabotage="any receipt")
    assert result["receipts"] != [own(sent).hex()]


@pytest.mark.parametrize("answer", [silent, lambda data: noisy(data)[:-1]])
async def test_no_receipt_ends_in_deliver_timeout(
    vm: DoorVm, port: int, answer: Callable[[bytes], Messages]
) -> None:
    async with fleet(port, vm.folder, vm.pki, answer) as reports:
        result = await vm.run(port, "deliver", reports=[a_report(1, 3)], deadline_ms=600)
    assert result["error"] == "DeliverTimeout"
    assert 600 <= result["ms"] < 3000
    assert len(reports) == 1


@pytest.mark.parametrize(("most", "step"), [(1, 1), (7, 3), (1024, 64)])
async def test_fragments(vm: DoorVm, port: int, most: int, step: int) -> None:
    sent = a_report(1, 48)
    async with fleet(port, vm.folder, vm.pki, faithful):
        result = await vm.run(port, "deliver", reports=[sent], most=most, step=step)
    assert result.get("receipts") == [own(sent).hex()], result


async def test_report_over_the_send_buffer(vm: DoorVm, port: int) -> None:
    sent = a_report(1, 200, 1 << 60)
    assert 2500 < len(sent) < 4000
    async with fleet(port, vm.folder, vm.pki, faithful):
        result = await vm.run(port, "deliver", reports=[sent], step=50)
    assert result.get("receipts") == [own(sent).hex()], result


async def test_node_of_an_unknown_ca_is_refused(vm: DoorVm, port: int) -> None:
    stranger = Pki().leaf(NODE)
    result = await vm.run(port, "deliver", cert=stranger.cert_der, key=stranger.key_der)
    # Mosquitto sends a fatal alert, asyncio closes without one; a reset may overtake either.
    assert result.get("error") in ("TlsError", "SocketError"), result
    assert result["ms"] < 3000
