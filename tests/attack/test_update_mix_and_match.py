"""Mix and match: parts of several releases, each of them real, in one that nobody released; and an
application on a runtime, a board or keys that it was not made for.
"""

import itertools
from collections.abc import Iterator

import pytest
import update_rig as rig
from node.update import manifest
from node.update.ends import Refused
from node.wire import release
from release_rig import EXPIRY, METER, keys, of, signed, small, small_image
from update_rig import NEW, OLD, Board, Offer

from fleet.releases import content
from fleet.releases.errors import BundleError
from fleet.releases.target import Target


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def mixed(first: int, second: int) -> Offer:
    """The envelope of one release, the application of another: both are signed."""
    one = rig.offer(release.PLAIN, rig.image(first), sequence=first)
    other = (release.APPLICATION, release.PLAIN, rig.image(second), b"")
    return Offer(one.manifest, [other], sealed=one.envelope)


@pytest.mark.parametrize(("first", "second"), [(101, 102), (102, 101), (101, 99)])
def test_attack_mix_and_match(board: Board, first: int, second: int) -> None:
    board.give(mixed(first, second))
    results = board.go(20)
    assert [told for _, told, _ in results] in ([release.BAD_DIGEST], [release.MALFORMED])
    assert board.runs == OLD


def test_attack_mix_and_match_of_assignments(board: Board) -> None:
    """The assignment of one release with the stream of another."""
    one = rig.offer(release.PLAIN, rig.image(101), sequence=101)
    other = rig.offer(release.PLAIN, rig.image(102), sequence=102)
    board.give(one)
    board.fleet.streams[1] = other.stream
    ((_, told, _),) = board.go(20)
    assert told in (release.BAD_DIGEST, release.MALFORMED)
    assert board.runs == OLD


def test_attack_mix_and_match_before_it_is_signed() -> None:
    """Who signs is not made to sign one: image and manifest name the same release."""
    targets = [METER, Target("drainage", METER.board), Target(METER.role, "devkit"), Target()]
    for (n, a), (m, b) in itertools.product(itertools.product((7, 8), targets), repeat=2):
        made = of({release.APPLICATION: small_image(m, b)}, n, a)
        if (n, a) == (m, b):
            content.check(made)
        else:
            with pytest.raises(BundleError, match="of another release, role or board"):
                content.check(made)


OTHERS = (release.WRONG_ROLE, release.WRONG_BOARD, release.WRONG_ABI, release.WRONG_RUNTIME)


def test_all_pairs_of_application_runtime_abi_board_and_role() -> None:
    """Every pair of what a release is for and what a node is: it installs exactly its own."""
    roles, boards = ("gas-meter", "drainage", ""), ("esp32s3-bc660k", "devkit", "")
    abis = ((0x602, 0x602), (0x603, 0x603), (0x602, 0x604))
    runtimes = ((0x11B00, 0x11C00), (0x11D00, 0x1FFFF))
    made = small(7).says
    part = (release.APPLICATION, release.PLAIN, made.components[0].size, b"")
    assigned = release.Assignment(7, bytes(16), EXPIRY, part[2], [part], b"")
    pairs = taken = 0
    for role, board, abi, runtime in itertools.product(roles, boards, abis, runtimes):
        says = made._replace(role=role, board=board, abi=abi, runtime=runtime)
        for own in itertools.product(roles[:2], boards[:2], (0x602, 0x603), (0x11B00, 0x11D00)):
            here = manifest.Here(1, 1, *own, 1)
            fits = (
                role in ("", own[0])
                and board in ("", own[1])
                and abi[0] <= own[2] <= abi[1]
                and runtime[0] <= own[3] <= runtime[1]
            )
            got = 0
            try:
                manifest.judge(says, False, assigned, here)
            except Refused as e:
                got = e.result
            assert (got == 0) == fits, (says, here)
            assert got in (0, *OTHERS)
            pairs += 1
            taken += fits
    assert (pairs, taken) == (54 * 16, 16 * 2 * 2 * 2 * 1)


@pytest.mark.parametrize(
    ("kind", "least", "installs"),
    [
        (release.APPLICATION, 5, True), (release.APPLICATION, 6, False),
        (release.KEYS, 2, True), (release.KEYS, 3, False),
        (release.RUNTIME, 0x11D00, True), (release.RUNTIME, 0x11D01, False),
        (release.MODEM, 1, False),
    ],
)  # fmt: skip
def test_what_a_release_needs_is_there_before(kind: int, least: int, installs: bool) -> None:
    says = signed(of(small(7).components, 7, needs=[(kind, least)]), keys().release).says
    part = (release.APPLICATION, release.PLAIN, says.components[0].size, b"")
    assigned = release.Assignment(7, bytes(16), EXPIRY, part[2], [part], b"")
    here = manifest.Here(5, 5, *METER, 0x603, 0x11D00, 2)
    if installs:
        manifest.judge(says, False, assigned, here)
    else:
        with pytest.raises(Refused) as caught:
            manifest.judge(says, False, assigned, here)
        assert caught.value.result == release.MISSING
    assert NEW > OLD
