"""What the fleet takes in as a release, and the states that one goes through."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fleet_rig as rig
import pytest
from release_rig import (
    EXPIRY,
    METER,
    keys,
    of,
    signed,
    small,
    small_image,
    trusting_database,
)
from sqlalchemy import event, select

from fleet.db.base import Database
from fleet.releases import deltas, intake, store, target, trusting, verify
from fleet.releases.bundle import Bundle
from fleet.releases.errors import (
    BundleError,
    ReleaseError,
    SignatureError,
    SigningKeyError,
    UnknownRelease,
)
from fleet.releases.tables import Artifact
from fleet.releases.target import Target
from fleet.updates import shelf
from fleet.wire import release

NOW = rig.NOW_US
ANY = Target()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(trusting_database(tmp_path)) as opened:
        yield opened


def bare(sequence: int) -> Bundle:
    """Signed by nobody."""
    return of(small(sequence).components, sequence)


def add(database: Database, made: Bundle, now_us: int = NOW) -> None:
    with database.begin() as session:
        intake.add(session, made, "Li Wei", now_us)


def promote(database: Database, sequence: int) -> None:
    with database.begin() as session:
        intake.promote(session, sequence, "Li Wei", NOW)


def test_a_release_is_known_by_its_sequence_and_by_its_image(database: Database) -> None:
    made = small(7)
    for each in (made, small(8)):
        add(database, each)
    with database.read() as session:
        found = store.release(session, 7)
        assert (found.role, found.board, found.state) == (*METER, "released")
        assert found.digest == small(7).digest
        assert release.unseal(found.envelope)[0] == found.manifest
        assert store.component(session, 7, release.APPLICATION) == small_image(7)
        image = target.image_digest(small_image(7))
        assert store.find_by_image(session, image[:4]) == 7
        assert store.find_by_image(session, image[:8]) == 7
        assert store.find_by_image(session, b"none") is None
        assert [one.sequence for one in store.releases(session)] == [8, 7]
        assert intake.bundle_of(session, 7) == made
        with pytest.raises(UnknownRelease, match="no release 9"):
            store.release(session, 9)
        with pytest.raises(UnknownRelease, match="no component 4"):
            store.component(session, 7, release.KEYS)


def test_what_is_listed_loads_no_bytes_of_components(database: Database) -> None:
    add(database, small(7))
    asked: list[str] = []
    with database.read() as session:
        event.listen(session.connection(), "before_cursor_execute",
                     lambda *a: asked.append(a[2]))  # fmt: skip
        store.releases(session)
        store.release(session, 7)
        shelf.image_of(session, 7)
        shelf.may_be_given(session, 7)
        store.find_by_image(session, b"none")
        store.revoked(session, 7)
    assert len(asked) == 6
    assert not [text for text in asked if "release_artifacts" in text or "sbom" in text]


def test_taken_in_again_it_changes_nothing_and_another_of_its_number_is_refused(
    database: Database,
) -> None:
    add(database, small(7))
    add(database, small(7), NOW + 5)
    with database.read() as session:
        assert store.release(session, 7).added_us == NOW
    with pytest.raises(ReleaseError, match="is another one already"):
        add(database, small(7, app=b"other"))


def test_the_same_bytes_are_kept_once(database: Database) -> None:
    pack = b"\xa1\x68report_s\x19\x0e\x10"
    for sequence in (7, 8):
        made = of({release.APPLICATION: small_image(sequence), release.PACK: pack}, sequence)
        add(database, signed(made, keys().release))
    with database.read() as session:
        assert len(list(session.scalars(select(Artifact.digest)))) == 3


@pytest.mark.parametrize(
    ("made", "error", "why"),
    [
        (lambda: bare(7), SignatureError, "no release key"),
        (
            lambda: signed(of(small(7).components, 7), keys().stranger),
            SignatureError,
            "no release",
        ),
        (
            lambda: signed(of(small(7).components, 7), roots=keys().roots[:1]),
            SignatureError,
            "no ",
        ),
        (lambda: small(7)._replace(components={}), BundleError, "components"),
        (lambda: signed(of({0: small_image(8)}, 7), keys().release), BundleError, "of another"),
    ],
)
def test_what_is_not_taken_in(
    database: Database, made: object, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        add(database, made())  # type: ignore[operator]
    with database.read() as session:
        assert store.releases(session) == []


def test_a_signature_that_is_not_by_the_key_it_names_spoils_the_release(
    database: Database,
) -> None:
    """A node refuses the whole, so the fleet does, whoever else signed."""
    root = keys().roots[0]
    forged = small(7).signed_by((root.kid, bytes(384), root.modulus))
    with pytest.raises(SignatureError, match=root.kid.hex()):
        add(database, forged)


def test_root_keys_sign_like_a_release_key(database: Database) -> None:
    add(database, signed(of(small(7).components, 7), roots=keys().roots[1:]))


def test_an_expired_release_is_for_nobody(database: Database) -> None:
    with pytest.raises(ReleaseError, match="expired"):
        add(database, small(7), EXPIRY * 1_000_000)


def test_below_what_nodes_may_run_there_is_none(database: Database) -> None:
    add(database, small(8))
    add(database, small(7))  # 8 was not promoted: nobody runs it
    promote(database, 8)
    with pytest.raises(ReleaseError, match="may run release 8: 6 is older"):
        add(database, small(6))
    add(database, small(5, Target("drainage", "esp32c3-bc95")))  # others' are of no concern


def test_promoted_and_revoked_once_and_for_ever(database: Database) -> None:
    add(database, small(7))
    promote(database, 7)
    promote(database, 7)
    with database.begin() as session:
        assert not store.revoked(session, 7)
        assert store.revoked(session, 99)
        store.revoke(session, 7, "Wang Fang", "sensors fall silent", NOW + 1)
        store.revoke(session, 7, "Li Wei", "again", NOW + 2)
    with database.read() as session:
        found = store.release(session, 7)
        assert (found.state, found.person, found.reason) == (
            "revoked", "Wang Fang", "sensors fall silent",
        )  # fmt: skip
        assert store.revoked(session, 7)
    with pytest.raises(ReleaseError, match="was revoked"):
        promote(database, 7)
    with database.begin() as session, pytest.raises(ReleaseError, match="has a reason"):
        store.revoke(session, 7, "Li Wei", "", NOW)


def test_the_first_trust_is_a_persons_each_later_one_the_root_keys(database: Database) -> None:
    roots = keys().roots
    content = trusting.make(2, 2, [r.modulus for r in roots], [keys().stranger.modulus])
    with database.begin() as session:
        trusting.install(session, keys().trust, "Li Wei", NOW)
        with pytest.raises(SigningKeyError, match="trusted here already"):
            trusting.install(session, content, "Li Wei", NOW)
    change = of({release.KEYS: content}, 9, ANY)
    for few in (signed(change, keys().release), signed(change, roots=roots[:1])):
        with pytest.raises(SignatureError, match="2 root keys must sign it"):
            add(database, few)
    add(database, signed(change, roots=roots[:2]))
    with database.read() as session:
        assert trusting.newest(session) == keys().trust  # nodes get it by its promotion
    promote(database, 9)
    with database.read() as session:
        assert trusting.newest(session) == content
    with pytest.raises(SignatureError, match="no release key"):
        add(database, small(10))  # by the key that counts no more
    add(database, signed(of(small(10).components, 10), keys().stranger))
    again = signed(of({release.KEYS: keys().trust}, 11, ANY), roots=roots[:2])
    add(database, again)
    with pytest.raises(SigningKeyError, match="above 2 is wanted"):
        promote(database, 11)


def test_a_release_key_is_no_root_key() -> None:
    with pytest.raises(SigningKeyError, match="no release key as well"):
        trusting.make(1, 1, [keys().release.modulus], [keys().release.modulus])
    held = trusting.parse(keys().trust)
    root = keys().roots[0]
    as_release = (
        small(7)
        ._replace(signatures=())
        .signed_by((root.kid, root.sign(release.signed(small(7).manifest)), b""))
    )
    assert verify.signers(as_release.manifest, as_release.signatures, held) == (0, 0)


def test_deltas_are_wanted_from_what_nodes_may_run(database: Database) -> None:
    for sequence in range(1, 12):
        add(database, small(sequence))
        if sequence != 5:
            promote(database, sequence)
    with database.read() as session:
        bases = [one.base_sequence for one, _ in deltas.listed(session, 11)]
        assert bases == [10, 9, 8, 7, 6, 4, 3, 2]
        wanted = deltas.next_wanted(session)
        assert wanted is not None
        assert (wanted.sequence, wanted.base_sequence) == (11, 10)


def test_only_a_ready_delta_is_given(database: Database) -> None:
    for sequence in (7, 8):
        add(database, small(sequence))
        promote(database, sequence)
    base = target.image_digest(small_image(7))[:8]

    def given() -> bytes | None:
        with database.read() as session:
            assert deltas.ready(session, base[:4], 8) == deltas.ready(session, base, 8)
            assert deltas.ready(session, bytes(8), 8) is None
            assert deltas.ready(session, base, 7) is None
            return deltas.ready(session, base, 8)

    assert given() is None
    with database.begin() as session:
        deltas.failed(session, 8, base, "no", NOW)
    assert given() is None
    with database.begin() as session:
        assert deltas.next_wanted(session) is None
        assert deltas.again(session, 8, NOW) == 1
        deltas.done(session, 8, base, b"patch", NOW)
    assert given() == b"patch"
    with database.begin() as session:
        store.revoke(session, 8, "Li Wei", "bad", NOW)
        assert deltas.want(session, 8, NOW) == 0


def test_signatures_that_come_later_count_until_the_promotion(database: Database) -> None:
    """A jump needs the root keys: they are asked when the release was taken in already."""
    rooted = signed(small(7), roots=keys().roots[:1])
    add(database, small(7))
    add(database, rooted)
    with database.read() as session:
        assert store.release(session, 7).envelope == rooted.envelope
    promote(database, 7)
    add(database, rooted)
    with pytest.raises(ReleaseError, match="is promoted with other signatures"):
        add(database, small(7))


def test_what_expired_since_it_was_added_is_not_promoted(database: Database) -> None:
    add(database, small(7))
    with database.begin() as session, pytest.raises(ReleaseError, match="expired"):
        intake.promote(session, 7, "Li Wei", EXPIRY * 1_000_000)


def test_what_is_older_than_nodes_may_run_is_not_promoted(database: Database) -> None:
    for sequence in (7, 8):
        add(database, small(sequence))
    promote(database, 8)
    with pytest.raises(ReleaseError, match="may run release 8: 7 is older"):
        promote(database, 7)


def test_deltas_are_wanted_in_whatever_order_releases_are_promoted(database: Database) -> None:
    for sequence in (7, 8, 9):
        add(database, small(sequence))
    promote(database, 7)
    promote(database, 8)
    with database.read() as session:
        found = [(one.base_sequence, one.sequence) for one, _ in deltas.listed(session)]
        assert found == [(8, 9), (7, 9), (7, 8)]
        assert deltas.counts(session) == {"preparing": 3, "ready": 0, "failed": 0}
        assert deltas.awaited(session, 9, NOW - 1)
        assert not deltas.awaited(session, 9, NOW)
        assert not deltas.awaited(session, 7, NOW - 1)
