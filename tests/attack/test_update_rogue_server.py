"""A server with all online keys in an attacker's hands: the database, every node's HMAC key, the
issuing CA, and whatever is on the air. What signs releases is offline: no node runs a line of his.

The nodes are the firmware's real code on CPython; what they fetch is what the attacker serves.
"""

import hashlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mutants
import pytest
import release_rig as releases
import update_rig as rig
from fleet_rig import NOW_US
from node.wire import cbor, receipt, release, trust
from sabotage import take_away
from update_rig import NEW, OLD, Board, Offer

from fleet.releases import intake, store, trusting
from fleet.releases.errors import UnknownRelease

EVIL = rig.image(200)  # his code: of the size of the real one
RELEASED = {rig.image(OLD), rig.image(NEW)}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def runs_released_code(board: Board) -> bool:
    """Of the node: what is mounted, what the pointer names, and what it would go back to."""
    words = board.files.kept.get("/slot", b"a - good").decode().split()
    images = [board.files.kept.get(f"/{name}.romfs") for name in words[:2] if name != "-"]
    digest = board.files.kept["/rom/digest"]
    return all(one in RELEASED for one in images) and digest in {i[4:36] for i in RELEASED}


def of_his(
    sequence: int = NEW,
    new: bytes = EVIL,
    signers: tuple[str, ...] = ("attacker",),
    sealed: bytes = b"",
    parts: list[tuple[int, int, bytes, bytes]] | None = None,
    **changes: Any,
) -> Offer:
    raw = rig.manifest(rig.component(new), sequence=sequence, **changes)
    parts = parts or [(release.APPLICATION, release.PLAIN, new, b"")]
    return Offer(raw, parts, signers, sealed)


def real_signature_on(raw: bytes) -> bytes:
    """The signature of the real release over a manifest that is not it."""
    _, signatures = release.unseal(rig.offer().envelope)
    return bytes(release.seal(raw, signatures))


def own_key() -> Offer:
    return of_his()


def own_key_by_the_real_name() -> Offer:
    raw = rig.manifest(rig.component(EVIL))
    signature = rig.key("attacker").sign(release.signed(raw))
    sealed = release.seal(raw, [(rig.key("release").kid, signature, b"")])
    return of_his(sealed=sealed)


def own_key_as_root() -> Offer:
    raw = rig.manifest(rig.component(EVIL))
    mine = rig.key("attacker")
    signature = mine.sign(release.signed(raw))
    return of_his(sealed=release.seal(raw, [(mine.kid, signature, mine.modulus)]))


def one_root_key_stolen() -> Offer:
    return of_his(signers=("root0",))


def signature_of_another() -> Offer:
    return of_his(sealed=real_signature_on(rig.manifest(rig.component(EVIL))))


def real_envelope_own_code() -> Offer:
    real = rig.offer(release.PLAIN)
    return Offer(
        real.manifest, [(release.APPLICATION, release.PLAIN, EVIL, b"")], sealed=real.envelope
    )


def real_envelope_own_delta() -> Offer:
    real = rig.offer(release.DELTA)
    part = (release.APPLICATION, release.DELTA, rig.patch(rig.image(OLD), EVIL),
            rig.base(rig.image(OLD)))  # fmt: skip
    return Offer(real.manifest, [part], sealed=real.envelope)


def real_envelope_own_code_deflated() -> Offer:
    real = rig.offer(release.DEFLATED)
    part = (release.APPLICATION, release.DEFLATED, rig.deflated(EVIL), b"")
    return Offer(real.manifest, [part], sealed=real.envelope)


def longer_than_it_is() -> Offer:
    real = rig.offer(release.PLAIN)
    part = (release.APPLICATION, release.PLAIN, rig.image(NEW) + EVIL, b"")
    return Offer(real.manifest, [part], sealed=real.envelope)


def keys_of_his() -> Offer:
    """A trust in which his key signs, by a release that his key signs."""
    return _keys(("attacker",))


def keys_by_the_release_key() -> Offer:
    """The same by the release key, if that were stolen too: it changes no keys."""
    return _keys(("release",))


def keys_by_one_root_key() -> Offer:
    return _keys(("root1",))


def _keys(signers: tuple[str, ...]) -> Offer:
    roots = trust.decode(rig.trusted()).roots
    mine = trust.encode(trust.Trust(2, 1, roots, [rig.key("attacker").modulus]))
    raw = rig.manifest(rig.component(mine, release.KEYS))
    return Offer(raw, [(release.KEYS, release.PLAIN, mine, b"")], signers)


def no_signature() -> Offer:
    raw = rig.manifest(rig.component(EVIL))
    return of_his(sealed=cbor.encode([raw, []]))


def an_empty_key() -> Offer:
    raw = rig.manifest(rig.component(EVIL))
    return of_his(sealed=release.seal(raw, [(bytes(8), bytes(384), bytes(384))]))


ATTEMPTS: list[Callable[[], Offer]] = [
    own_key, own_key_by_the_real_name, own_key_as_root, one_root_key_stolen, signature_of_another,
    real_envelope_own_code, real_envelope_own_delta, real_envelope_own_code_deflated,
    longer_than_it_is, keys_of_his, keys_by_the_release_key, keys_by_one_root_key, no_signature,
    an_empty_key,
]  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attack_server_with_all_online_keys(board: Board, attempt: Callable[[], Offer]) -> None:
    board.give(attempt())
    results = board.go(12)
    assert [result for _, result, _ in results if result == 0] == []
    assert (board.runs, board.nvs["trust"]) == (OLD, rig.trusted())
    assert runs_released_code(board)
    # It wedges nothing either: the real release still comes.
    board.fleet.results.clear()
    board.give(rig.offer(), 2)
    assert (2, 0, 0) in board.go(40)
    assert board.runs == NEW


def test_attack_other_blocks_once_the_envelope_is_verified(board: Board) -> None:
    """The real envelope at first; what is asked for later is his, block by block."""
    real, his = rig.offer(release.PLAIN), real_envelope_own_code()
    board.fleet.most = 2  # of a contact: the envelope is verified before the rest comes
    board.give(real)
    for _ in range(4):
        board.wake()
    size = max(len(real.stream), len(his.stream))
    board.fleet.streams[1] = his.stream.ljust(size, b"\0")[: len(real.stream)]
    board.fleet.most = 1 << 30
    board.go(12)
    assert board.runs == OLD
    assert runs_released_code(board)


def test_attack_rewritten_database(tmp_path: Path) -> None:
    """Rows as he wants them: what the fleet then sends, in good faith, is refused by its nodes."""
    database = releases.trusting_database(tmp_path)
    his = releases.small_image(101, app=b"his code")
    by_him = releases.signed(releases.of({0: his}, 101), releases.keys().stranger)
    with database.begin() as session:
        intake.add(session, releases.small(101), "Li Wei", NOW_US)
        intake.promote(session, 101, "Li Wei", NOW_US)
    writes: list[list[tuple[str, tuple[object, ...]]]] = [
        [("UPDATE release_artifacts SET data = ?", (his,))],
        [("UPDATE releases SET manifest = ?, envelope = ?, digest = ?",
          (by_him.manifest, by_him.envelope, by_him.digest)),
         ("UPDATE release_artifacts SET data = ?, digest = ?",
          (his, hashlib.sha256(his).digest()))],
        [("INSERT INTO release_trust VALUES (9, ?, 0, 'him')",
          (trusting.make(9, 1, [releases.keys().stranger.modulus],
                         [releases.Key().modulus]),))],
    ]  # fmt: skip
    for statements in writes:
        with sqlite3.connect(tmp_path / "kapok.db") as connection:
            for statement, values in statements:
                connection.execute(statement, values)
        with database.read() as session:
            envelope = store.release(session, 101).envelope
            try:
                data = store.component(session, 101, release.APPLICATION)
            except UnknownRelease:
                continue  # the fleet has nothing to send at all
        assert not (data == his and mutants.taken(mutants.Sent(envelope, data)))
        assert not mutants.taken(mutants.Sent(envelope, his))
    assert mutants.taken(mutants.Sent(releases.small(101).envelope, releases.small_image(101)))
    database.close()


def test_attack_items_of_other_kinds(board: Board) -> None:
    """Whatever else the fleet may send writes neither slot nor trust: a configuration, keys, a
    certificate, with names and payloads that say otherwise.
    """
    mine = trust.encode(trust.Trust(9, 1, [bytes(32)], [rig.key("attacker").modulus]))
    payloads = [
        cbor.encode({"trust": mine[:400]}), cbor.encode({"board": "devkit", "role": "gateway"}),
        mine, EVIL[:400], cbor.encode([mine]), cbor.encode([bytes(3), bytes(16)]),
    ]  # fmt: skip
    number = 0
    for kind in (receipt.CONFIG, receipt.KEY, receipt.COMMAND, receipt.UPDATE,
                 receipt.CERTIFICATE):  # fmt: skip
        for payload in payloads:
            number += 1
            board.fleet.pending.append((number, kind, payload))
            board.state.set("urgent", 2)
            board.state.set("next_report", 0)
            board.wake()
            board.fleet.pending.clear()
    assert board.nvs["trust"] == rig.trusted()
    assert board.runs == OLD
    assert runs_released_code(board)


def test_attack_many_nodes_many_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that are given one thing after another, cut off from power in between: none runs a
    line that was not released.
    """
    chance = random.Random(25)
    unreleased = 0
    for _ in range(6):
        (board,) = [next(rig.boards(monkeypatch))]
        for number in range(1, 6):
            attempt = chance.choice([*ATTEMPTS, rig.offer])
            board.give(attempt(), number)
            board.fleet.most = chance.choice([3, 1 << 30])
            for _ in range(chance.randrange(1, 9)):
                board.wake()
                if chance.random() < 0.2:
                    board.cut()
                unreleased += not runs_released_code(board)
    assert unreleased == 0


def test_sabotage_nodes_that_check_no_signature(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(module: Any) -> None:
        module.verify = lambda *_: True

    take_away(monkeypatch, "node.update.pss", trusting)
    board.give(own_key_by_the_real_name())
    board.go(30)
    assert not runs_released_code(board)


def test_sabotage_nodes_that_compare_no_digest(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = hashlib.sha256(rig.image(NEW)).digest()

    class Careless:
        """Says of anything that it is the real image."""

        def __init__(self, _data: bytes = b"") -> None:
            pass

        def update(self, _data: bytes) -> None:
            pass

        def digest(self) -> bytes:
            return wanted

    def careless(module: Any) -> None:
        module.hashlib = SimpleNamespace(sha256=Careless)

    take_away(monkeypatch, "node.update.image", careless)
    board.give(real_envelope_own_code())
    board.go(30)
    assert not runs_released_code(board)
