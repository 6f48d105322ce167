"""An update from its assignment to its confirmation, on a node's real cycle."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import update_rig as rig
from node.errors import LinkError
from node.wire import release, uplink
from update_rig import NEW, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


@pytest.mark.parametrize("form", [release.PLAIN, release.DEFLATED, release.DELTA])
def test_an_update_is_fetched_verified_tried_and_confirmed(board: Board, form: int) -> None:
    board.give(rig.offer(form))
    assert board.go() == [(1, 0, 0)]
    assert board.runs == NEW
    assert board.nvs["seq"] == NEW
    assert board.files.kept["/slot"] == b"b - good"
    assert board.files.kept["/b.romfs"] == rig.image(NEW)
    assert not [path for path in board.files.kept if path.startswith("/update")]
    assert board.fleet.told[uplink.RELEASE] == NEW
    assert board.fleet.told[uplink.IMAGE] == int.from_bytes(rig.image(NEW)[4:8], "big")
    assert board.state.get("upd") == 0


@pytest.mark.parametrize("size", [256, 512, 1024, 4096])
def test_blocks_of_any_size_one_a_contact(board: Board, size: int) -> None:
    board.fleet.BLOCK, board.fleet.most = size, 1
    given = rig.offer()
    board.give(given)
    assert board.go(80) == [(1, 0, 0)]
    blocks = -(-len(given.stream) // size)
    assert [index for index, _ in board.fleet.asked] == list(range(blocks)), "each once, in order"


def test_a_node_that_roams_goes_on_with_blocks_of_another_size(board: Board) -> None:
    board.fleet.most = 3
    given = rig.offer()
    board.give(given)
    for size in (512, 512, 2048, 256, 1024, 4096, 512):
        board.fleet.BLOCK = size
        board.wake()
    assert board.go() == [(1, 0, 0)]
    assert sum(size for _, size in board.fleet.asked) < 2 * len(given.stream)


def test_the_fleet_hears_how_far_it_is(board: Board) -> None:
    board.fleet.most = 4
    board.give(rig.offer())
    marks = set()
    for _ in range(14):
        board.journal.append(rig.reading(board.now))
        board.state.set("next_report", 0)
        board.wake()
        marks.add((board.fleet.told.get(uplink.STAGE), board.fleet.told.get(uplink.MARK)))
    assert {1024, 5120, 9216} <= {mark for stage, mark in marks if stage == release.DOWNLOADING}
    assert (release.CONFIRMING, board.fleet.told[uplink.MARK]) in marks


def test_progress_alone_is_news_by_4_kilobytes_only(board: Board) -> None:
    board.fleet.most = 1
    board.give(rig.offer())
    board.go(30, lambda: board.stage == release.CONFIRMING)
    assert len(board.fleet.reports) < 12, "of more than 20 contacts"


def test_a_small_update_takes_three_contacts(board: Board) -> None:
    """One brings the assignment, one the stream, and the first of the new version confirms it."""
    given = rig.offer(release.DELTA, rig.image(NEW, own=100))
    assert len(given.stream) <= 1024
    board.give(given)
    assert board.go(until=lambda: board.nvs["seq"] == NEW) == []
    assert board.fleet.doors == 3
    assert len(board.fleet.reports) == 2


def test_a_battery_that_is_low_fetches_nothing_between_its_reports(board: Board) -> None:
    board.state.set("events", [9])
    board.give(rig.offer())
    began = board.now
    board.wake()
    board.wake()
    assert board.now - began >= 6 * 3600


@pytest.mark.parametrize("word", [release.LATER, release.UNKNOWN])
def test_a_fleet_that_cannot_serve_is_asked_again_later(board: Board, word: int) -> None:
    board.fleet.word = word
    board.give(rig.offer())
    board.wake()
    board.wake()
    before = board.now
    board.wake()
    assert board.now - before >= 900
    board.fleet.word = 0
    assert board.go() == [(1, 0, 0)]


def test_another_assignment_takes_the_place_of_the_first(board: Board) -> None:
    board.fleet.most = 4
    board.give(rig.offer())
    board.go(3, lambda: False)
    assert board.stage == release.DOWNLOADING
    board.fleet.most = 99
    newest = NEW + 1
    board.give(rig.offer(release.DELTA, rig.image(newest), sequence=newest), 2)
    board.go(until=lambda: len(board.fleet.results) == 2)
    assert board.fleet.results == [(1, release.WITHDRAWN, 200), (2, 0, 0)]
    assert board.runs == newest


def test_an_assignment_that_comes_again_goes_on(board: Board) -> None:
    board.fleet.most = 4
    given = rig.offer()
    board.give(given)
    board.go(3, lambda: False)
    asked = list(board.fleet.asked)
    board.nvs["down"] = 0  # the power failed when all but its number was noted
    board.state.set("items", None)
    board.fleet.pending = [(1, 4, given.payload(1))]
    board.fleet.most = 99
    assert board.go() == [(1, 0, 0)]
    assert not {index for index, _ in asked} & {i for i, _ in board.fleet.asked[len(asked) :]}


def test_a_delta_from_another_image_is_refused_before_anything_is_fetched(board: Board) -> None:
    given = rig.offer(release.DELTA)
    given.parts = [(kind, form, size, bytes(8)) for kind, form, size, _ in given.parts]
    board.give(given)
    assert board.go() == [(1, release.BASE_DIFFERS, 100)]
    assert board.fleet.asked == []


def test_a_part_that_is_not_what_was_signed_is_never_tried(board: Board) -> None:
    given = rig.offer(release.PLAIN)
    given.stream = given.stream[:-1] + bytes((given.stream[-1] ^ 1,))
    board.give(given)
    assert board.go() == [(1, release.BAD_DIGEST, 300)]
    assert board.files.kept.get("/slot") is None
    assert "/b.romfs" not in board.files.kept


def test_a_delta_onto_a_base_that_has_rotted_asks_for_the_whole_image(board: Board) -> None:
    """A bit behind the head of the slot that runs: nothing else notices."""
    board.give(rig.offer(release.DELTA))
    board.go(20, lambda: board.stage == release.DOWNLOADING)
    rotten = bytearray(rig.image(rig.OLD))
    rotten[4000] ^= 1
    board.files.kept["/a.romfs"] = bytes(rotten)
    assert board.go() == [(1, release.BAD_DELTA, 300)]


async def silent(*_: object) -> int:
    await asyncio.sleep(3600)
    return 0


async def broken(*_: object) -> int:
    raise LinkError("the server of blocks is gone")


@pytest.mark.parametrize("blocks", [broken, silent])
def test_a_server_of_blocks_that_fails_makes_no_contact_a_failed_one(
    board: Board, monkeypatch: pytest.MonkeyPatch, blocks: Any
) -> None:
    rig.sabotage("update/fetching.py", "_LEAST_MS = const(5_000)", "_LEAST_MS = const(50)")
    board.give(rig.offer())
    board.wake()
    monkeypatch.setattr(board.fleet, "blocks", blocks)
    if blocks is silent:
        monkeypatch.setitem(board.config, "awake_s", 18.2)  # 0.2 s of them for the blocks
    began = board.now
    board.wake()
    assert board.stage == release.ACCEPTED
    assert (board.state.get("fails"), board.state.get("retry")) == (0, 0)
    assert board.state.get("upd")[2] >= began + 900


def test_without_the_guard_it_would_be_tried(board: Board) -> None:
    rig.sabotage("update/image.py", "if hasher.digest() != component.digest:", "if False:")
    given = rig.offer(release.PLAIN)
    given.stream = given.stream[:-1] + bytes((given.stream[-1] ^ 1,))
    board.give(given)
    assert board.go() == [(1, release.ROLLED_BACK, release.NOT_IMPORTED)], "the supervisor's guard"
    assert board.files.kept["/slot"] == b"a - good"


def test_a_signature_of_nobody_whom_the_node_trusts(board: Board) -> None:
    board.give(rig.offer(signers=("stranger",)))
    assert board.go() == [(1, release.BAD_SIGNATURE, 100)]
    board.give(rig.offer(signers=("root0",), sequence=NEW + 1), 2)
    board.fleet.results.clear()
    assert board.go() == [(2, release.BAD_SIGNATURE, 100)]


def test_two_root_keys_may_sign_without_a_release_key(board: Board) -> None:
    board.give(rig.offer(signers=("root0", "root1")))
    assert board.go() == [(1, 0, 0)]


def test_new_keys_need_the_root_keys_and_count_from_then_on(board: Board) -> None:
    keys = rig.trusted(2)
    part = (release.KEYS, release.PLAIN, keys, b"")
    raw = rig.manifest(rig.component(keys, release.KEYS))
    board.give(rig.Offer(raw, [part]))
    assert board.go() == [(1, release.BAD_SIGNATURE, 100)]
    board.fleet.results.clear()
    board.give(rig.Offer(raw, [part], ("root0", "root2")), 2)
    assert board.go() == [(2, 0, 0)]
    assert board.nvs["trust"] == keys
    assert board.nvs["seq"] == NEW
    board.fleet.results.clear()
    old = rig.trusted(1)
    raw = rig.manifest(rig.component(old, release.KEYS), sequence=NEW + 1)
    board.give(rig.Offer(raw, [(release.KEYS, release.PLAIN, old, b"")], ("root0", "root2")), 3)
    assert board.go() == [(3, release.OLDER, 300)]
    assert board.nvs["trust"] == keys
