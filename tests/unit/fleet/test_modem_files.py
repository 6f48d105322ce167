"""Who gets a modem's firmware: anybody who knows its name, while a promoted release has it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from updates_rig import City

from fleet.updates import modem_files
from fleet.updates.modem_files import KNOWN_S, Shelf, answer
from fleet.wire import release

PACKAGE = bytes(range(256)) * 40
NAME = hashlib.sha256(PACKAGE).digest()[:8].hex()
PATH = f"/m/{NAME}"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path, 1)
    made.publish(20, {release.MODEM: PACKAGE})
    yield made
    made.close()


def shelf(city: City) -> Shelf:
    return Shelf(city.database, lambda: city.clock)


def test_it_is_given_whole_and_in_ranges(city: City) -> None:
    files = shelf(city)
    said = answer(files, "GET", PATH, "")
    assert (said.status_code, said.body) == (200, PACKAGE)
    assert said.headers["content-length"] == str(len(PACKAGE))
    part = answer(files, "GET", PATH, "bytes=100-299")
    assert (part.status_code, part.body) == (206, PACKAGE[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(PACKAGE)}"
    assert answer(files, "GET", PATH, "bytes=99999-").status_code == 416
    assert answer(files, "GET", PATH, "bytes=9-1").status_code == 400
    assert answer(files, "POST", PATH, "").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/", "/m/", f"/m/{NAME}0", f"/m/{NAME.upper()}", f"/m/../m/{NAME}", "/m/" + "0" * 16,
     f"/M/{NAME}", "/v1/updates/1", f"/m/{NAME}/x"],
)  # fmt: skip
def test_nothing_else_is_given(city: City, path: str) -> None:
    assert answer(shelf(city), "GET", path, "").status_code == 404


def test_no_other_component_is_given_here(city: City) -> None:
    digest = hashlib.sha256(city.images[8]).digest()[:8].hex()
    assert answer(shelf(city), "GET", f"/m/{digest}", "").status_code == 404


@pytest.mark.parametrize("state", ["draft", "released", "revoked"])
def test_only_of_promoted_releases(city: City, state: str) -> None:
    other = PACKAGE[::-1]
    city.publish(21, {release.MODEM: other}, state)
    path = f"/m/{hashlib.sha256(other).digest()[:8].hex()}"
    assert answer(shelf(city), "GET", path, "").status_code == 404


def test_a_revocation_counts_within_half_a_minute(city: City) -> None:
    files = shelf(city)
    assert answer(files, "GET", PATH, "").status_code == 200
    city.revoke(20)
    city.clock += KNOWN_S
    assert answer(files, "GET", PATH, "").status_code == 404


def test_memory_is_bounded(city: City) -> None:
    names = []
    for n in range(modem_files.KEPT + 3):
        data = bytes([n]) * 100
        city.publish(30 + n, {release.MODEM: data})
        names.append(hashlib.sha256(data).digest()[:8].hex())
    files = shelf(city)
    for name in names * 2:
        assert files.find(name) is not None
    assert len(files._kept) == modem_files.KEPT
