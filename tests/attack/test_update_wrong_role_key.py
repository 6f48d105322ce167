"""A key in a role that it does not have: a release key that changes keys or jumps, a root key that
signs as a release key, a node's or the issuing CA's key that signs a release.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import update_rig as rig
from node.wire import release, trust
from release_rig import keys, of, signed, small
from sabotage import take_away
from update_rig import NEW, OLD, Board, Offer

from fleet.releases import trusting, verify
from fleet.releases.errors import SignatureError
from fleet.releases.target import Target

JUMP = OLD + release.MAX_JUMP + 1


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def change(signers: tuple[str, ...]) -> Offer:
    """New keys: the same roots, another release key."""
    held = trust.decode(rig.trusted())
    made = trust.encode(held._replace(sequence=2, keys=[rig.key("next").modulus]))
    raw = rig.manifest(rig.component(made, release.KEYS))
    return Offer(raw, [(release.KEYS, release.PLAIN, made, b"")], signers)


def jump(signers: tuple[str, ...]) -> Offer:
    return rig.offer(release.PLAIN, rig.image(JUMP), sequence=JUMP, signers=signers)


def by_root_as_release() -> Offer:
    """A root key's signature where a release key's would be: without its modulus."""
    real = rig.offer(release.PLAIN)
    root = rig.key("root0")
    signature = root.sign(release.signed(real.manifest))
    sealed = release.seal(real.manifest, [(root.kid, signature, b"")])
    part = (release.APPLICATION, release.PLAIN, rig.image(NEW), b"")
    return Offer(real.manifest, [part], sealed=sealed)


@pytest.mark.parametrize(
    ("offered", "result"),
    [
        (lambda: change(("release",)), release.BAD_SIGNATURE),
        (lambda: change(("root0",)), release.BAD_SIGNATURE),
        (lambda: change(("release", "root0")), release.BAD_SIGNATURE),
        (lambda: jump(("release",)), release.JUMP),
        (lambda: jump(("release", "root0")), release.JUMP),
        (lambda: jump(("root2",)), release.BAD_SIGNATURE),
        (by_root_as_release, release.BAD_SIGNATURE),
    ],
)  # fmt: skip
def test_attack_wrong_role_key(board: Board, offered: Any, result: int) -> None:
    board.give(offered())
    ((_, told, _),) = board.go(12)
    assert told == result
    assert (board.runs, board.nvs["seq"], board.nvs["trust"]) == (OLD, OLD, rig.trusted())


@pytest.mark.parametrize("signers", [("root0", "root1"), ("root1", "root2")])
def test_two_root_keys_change_keys(board: Board, signers: tuple[str, ...]) -> None:
    board.give(change(signers))
    assert board.go() == [(1, 0, 0)]
    assert trust.decode(board.nvs["trust"]).keys == [rig.key("next").modulus]
    board.fleet.results.clear()
    board.give(rig.offer(sequence=NEW + 1), 2)  # by the key that counts no more
    ((_, told, _),) = board.go(12)
    assert told == release.BAD_SIGNATURE


def test_sabotage_one_root_key_changes_keys(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(module: Any) -> None:
        decode = module.trust.decode
        monkeypatch.setattr(module.trust, "decode", lambda raw: decode(raw)._replace(threshold=1))

    take_away(monkeypatch, "node.update.manifest", lax)
    board.give(change(("root0",)))
    board.go(12)
    assert board.nvs["trust"] != rig.trusted()


def test_attack_keys_of_the_fleet_sign_a_release() -> None:
    """The keys that a server has are of other kinds, and too short: none is a key of releases."""
    held = trusting.parse(keys().trust)
    bare = of(small(7).components, 7)
    for kid in (b"hmackey0", bytes(8)):
        for signature in (bytes(384), b"\x01" * 384):
            forged = bare.signed_by((kid, signature, b""))
            with pytest.raises(SignatureError):
                verify.check(forged.manifest, forged.signatures, held)


def test_the_fleet_judges_as_the_node_does() -> None:
    """Every set of signers: `fleet.releases.verify` and the node's manifest.py agree."""
    import itertools

    from node.update import manifest
    from node.update.ends import Refused

    held = trusting.parse(keys().trust)
    everybody = [("release", keys().release), ("stranger", keys().stranger),
                 *((f"root{n}", key) for n, key in enumerate(keys().roots))]  # fmt: skip
    plain = of(small(7).components, 7)
    change_ = of({release.KEYS: keys().trust}, 7, Target())
    agreed = 0
    for count in (1, 2):
        for several in itertools.combinations(everybody, count):
            names = [name for name, _ in several]
            for made in (plain, change_):
                sent = signed(
                    made,
                    *(key for name, key in several if not name.startswith("root")),
                    roots=[key for name, key in several if name.startswith("root")],
                )
                try:
                    says, rooted = manifest.verify(sent.envelope, sent.digest[:16], keys().trust)
                    kinds = {each.kind for each in says.components}
                    node = rooted or release.KEYS not in kinds
                except Refused:
                    node = False
                try:
                    verify.check(sent.manifest, sent.signatures, held)
                    fleet = True
                except SignatureError:
                    fleet = False
                assert node == fleet, names
                agreed += 1
    assert agreed == 30
