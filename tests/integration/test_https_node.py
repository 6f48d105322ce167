"""The node's HTTPS client on the MicroPython VM, at the fleet's own server of updates."""

import binascii
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from updates_https import Known, serving
from updates_rig import City

from fleet.updates import streams
from fleet.wire import release
from tests.support.door_vm import DoorVm, build
from tests.support.pki import Pki

VERIFY_FAILED = -0x2700  # mbedTLS 3.6, x509.h


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path, 1)
    made.roll_out()
    made.node().report()
    yield made
    made.close()


@pytest.fixture
async def vm(tmp_path: Path) -> DoorVm:
    folder = tmp_path / "vm"
    folder.mkdir()
    await build(folder)
    pki = Pki()
    return DoorVm(folder, pki, pki.leaf("1gntj14d2p"))


async def fetch(vm: DoorVm, known: Known, asks: list[list[Any]], **options: Any) -> dict[str, Any]:
    given = {"number": 1, "size": 512, "host": "localhost", "ca": known.ca, "cert": known.cert,
             "key": known.key, "deadline_ms": 15_000, **options}  # fmt: skip
    return await vm.run(known.port, "blocks", asks=asks, **given)


def whole(city: City) -> bytes:
    return city.blocks.read(city.nodes[0], 1, 0, 1 << 20).data


def pieces(data: bytes, size: int) -> dict[str, list[int]]:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return {str(n): [binascii.crc32(part), len(part)] for n, part in enumerate(parts)}


async def test_all_blocks_come_over_one_connection(vm: DoorVm, city: City, tmp_path: Path) -> None:
    data = whole(city)
    async with serving(city, tmp_path) as known:
        result = await fetch(vm, known, [[0, "ffff"], [16, "ffff"]], most=700)
    assert result["came"] == pieces(data, 512)
    assert result["words"][0] == 0


async def test_only_what_is_missing_is_asked_for(vm: DoorVm, city: City, tmp_path: Path) -> None:
    data = whole(city)
    async with serving(city, tmp_path) as known:
        before = city.blocks.counts["bytes"]
        result = await fetch(vm, known, [[1, "b0"], [0, "80"]], size=128)
        assert city.blocks.counts["bytes"] - before == 4 * 128
    assert result == {
        "words": [0, 0],
        "came": {name: pieces(data, 128)[name] for name in ("0", "1", "3", "4")},
        "ms": result["ms"],
    }


async def test_a_big_block_fits_the_heap(vm: DoorVm, city: City, tmp_path: Path) -> None:
    data = whole(city)
    async with serving(city, tmp_path) as known:
        result = await fetch(vm, known, [[0, "c0"]], size=4096)
    assert result["came"] == pieces(data, 4096)


async def test_a_release_that_is_revoked_meanwhile_is_gone(
    vm: DoorVm, city: City, tmp_path: Path
) -> None:
    async with serving(city, tmp_path) as known:
        assert (await fetch(vm, known, [[0, "80"]], number=2))["words"] == [release.UNKNOWN]
        city.revoke()
        city.clock += streams.KNOWN_S
        assert (await fetch(vm, known, [[0, "80"]]))["words"] == [release.GONE]


async def test_a_revoked_certificate_gets_nothing(vm: DoorVm, city: City, tmp_path: Path) -> None:
    async with serving(city, tmp_path, lambda serial: True) as known:
        result = await fetch(vm, known, [[0, "80"]])
    assert (result["error"], result["cause"]) == ("HttpError", 403)


async def test_the_server_must_be_the_fleets(vm: DoorVm, city: City, tmp_path: Path) -> None:
    async with serving(city, tmp_path) as known:
        result = await fetch(vm, known, [[0, "80"]], ca=Pki().root_der)
        assert (result["error"], result["cause"]) == ("TlsError", VERIFY_FAILED)
        other = await fetch(vm, known, [[0, "80"]], host="other.test")
        assert (other["error"], other["cause"]) == ("TlsError", VERIFY_FAILED)
    assert ssl.OPENSSL_VERSION


async def test_a_connection_that_breaks_in_the_middle_keeps_what_came(
    vm: DoorVm, city: City, tmp_path: Path
) -> None:
    async with serving(city, tmp_path) as known:
        result = await fetch(vm, known, [[0, "80"], [1, "80"], [2, "80"]], fail_after=3000)
    assert result["error"] in ("SocketError", "TlsError")
