"""OSCORE contexts as rows: made, found, handed over, retired; and no secret in sight."""

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingest_rig import NODE, OTHER, open_database
from sqlalchemy import event, select, update
from sqlalchemy.exc import IntegrityError

from fleet.db.base import Database
from fleet.identity import contexts, oscore
from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.identity.tables import OscoreContext
from fleet.identity.wrapping import Cached, FileKey, WrappingError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def wrapper(tmp_path: Path) -> FileKey:
    return FileKey.create(tmp_path / "wrapping.key")


class Counting(FileKey):
    """Counts what it unwraps."""

    unwrapped = 0

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        self.unwrapped += 1
        return super().unwrap(wrapped, context)


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting.create(tmp_path / "wrapping.key")


def new(database: Database, wrapper: FileKey, node_id: str = NODE) -> oscore.NewContext:
    with database.begin() as session:
        return oscore.new_context(session, wrapper, node_id)


def find(database: Database, wrapper: FileKey, kid: bytes) -> oscore.Context:
    with database.read() as session:
        return oscore.find(session, wrapper, [kid])[kid]


def strike(database: Database, context: oscore.Context, number: int, fresh: bool = False) -> bool:
    with database.begin() as session:
        return oscore.strike(session, [(context.id, number, fresh)])[0]


def states(database: Database, node_id: str = NODE) -> list[tuple[bytes, str]]:
    with database.read() as session:
        return [(one.kid, one.state) for one in contexts.live(session, node_id)]


def test_a_new_context_is_found_by_its_kid(database: Database, wrapper: FileKey) -> None:
    made = new(database, wrapper)
    assert (len(made.kid), len(made.secret)) == (3, 16)
    found = find(database, wrapper, made.kid)
    assert (found.node_id, found.kid, found.trusted) == (NODE, made.kid, True)
    assert bytes(found.secret) == bytes(made.secret)
    with database.read() as session:
        assert oscore.find(session, wrapper, [b"\x00" * 3, b"", b"far too long"]) == {}
        assert oscore.find(session, wrapper, []) == {}


def test_many_kids_take_one_query_and_unwrap_nothing(
    database: Database, counting: Counting
) -> None:
    kids = [new(database, counting, node).kid for node in (NODE, OTHER)]
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    others = [secrets.token_bytes(3) for _ in range(99)]
    with database.read() as session:
        found = oscore.find(session, counting, [*kids, *others])
    assert len([s for s in statements if s.startswith("SELECT")]) == 1
    assert (set(found) - set(others), counting.unwrapped) == (set(kids), 0)
    assert found[kids[0]].secret == found[kids[0]].secret
    assert counting.unwrapped == 1


def test_a_cache_unwraps_a_secret_once_and_is_bounded(
    database: Database, counting: Counting
) -> None:
    cached = Cached(counting, size=1)
    one, two = (new(database, counting, node) for node in (NODE, OTHER))

    def secret_of(kid: bytes) -> bytes:
        with database.read() as session:
            return bytes(oscore.find(session, cached, [kid])[kid].secret)

    assert [secret_of(one.kid) for _ in range(3)] == [bytes(one.secret)] * 3
    assert counting.unwrapped == 1
    assert secret_of(two.kid) == bytes(two.secret)
    assert secret_of(one.kid) == bytes(one.secret)
    assert counting.unwrapped == 3


def test_attack_second_current_context(database: Database, wrapper: FileKey) -> None:
    new(database, wrapper)
    with pytest.raises(IdentityError, match="has an OSCORE key already"):
        new(database, wrapper)


@pytest.mark.parametrize("column", ["current_for", "next_for"])
def test_two_contexts_of_one_state_break_a_constraint(
    database: Database, wrapper: FileKey, column: str
) -> None:
    """Not a check decides: rows written behind the operations' back fail as well."""
    new(database, wrapper)
    new(database, wrapper, OTHER)
    with pytest.raises(IntegrityError), database.begin() as session:
        session.execute(update(OscoreContext).values({column: NODE}))


def test_a_kid_that_is_taken_is_drawn_again(
    database: Database, wrapper: FileKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([b"aaa", b"aaa", b"aaa", b"bbb"])
    monkeypatch.setattr(contexts, "draw_kid", lambda: next(draws))
    assert new(database, wrapper).kid == b"aaa"
    with database.begin() as session:  # what the transaction did before the collision stays
        session.execute(update(OscoreContext).values(created_us=7))
        assert oscore.new_context(session, wrapper, OTHER).kid == b"bbb"
    with database.read() as session:
        assert session.scalar(select(OscoreContext.created_us).where(
            OscoreContext.kid == b"aaa"
        )) == 7  # fmt: skip


def test_draws_end_when_no_kid_is_free(
    database: Database, wrapper: FileKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "draw_kid", lambda: b"aaa")
    new(database, wrapper)
    with pytest.raises(IdentityError, match="free"):
        new(database, wrapper, OTHER)


def test_a_retired_kid_may_be_drawn_again(
    database: Database, wrapper: FileKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "draw_kid", lambda: b"aaa")
    old = new(database, wrapper)
    with database.begin() as session:
        assert oscore.revoke(session, NODE) == 1
    again = new(database, wrapper, OTHER)
    found = find(database, wrapper, b"aaa")
    assert (found.node_id, bytes(found.secret)) == (OTHER, bytes(again.secret))
    assert bytes(again.secret) != bytes(old.secret)


def test_rotation_begins_with_the_first_use_of_the_new_key(
    database: Database, wrapper: FileKey
) -> None:
    old = find(database, wrapper, new(database, wrapper).kid)
    assert strike(database, old, 5)
    with database.begin() as session:
        kid = oscore.rotate(session, wrapper, NODE)
    assert states(database) == [(old.kid, "current"), (kid, "next")]
    assert strike(database, old, 6)  # the node has not read the answer yet
    fresh = find(database, wrapper, kid)
    assert bytes(fresh.secret) != bytes(old.secret)
    assert strike(database, fresh, 0)
    assert states(database) == [(kid, "current")]
    assert not strike(database, old, 7)
    assert not strike(database, fresh, 0)
    with database.read() as session:
        assert oscore.find(session, wrapper, [old.kid]) == {}
        gone = session.scalars(select(OscoreContext).where(OscoreContext.id == old.id)).one()
        assert (gone.state, gone.kid, gone.secret) == ("retired", None, None)


def test_old_and_new_key_in_one_batch(database: Database, wrapper: FileKey) -> None:
    old = find(database, wrapper, new(database, wrapper).kid)
    with database.begin() as session:
        kid = oscore.rotate(session, wrapper, NODE)
    fresh = find(database, wrapper, kid)
    claims = [(old.id, 0, False), (fresh.id, 0, False), (old.id, 1, False), (fresh.id, 1, False)]
    with database.begin() as session:
        assert oscore.strike(session, claims) == [True, True, False, True]
    assert states(database) == [(kid, "current")]


def test_rotating_again_hands_out_the_same_key(database: Database, wrapper: FileKey) -> None:
    """A node may hold it already, its answer lost: a third key would lock it out."""
    new(database, wrapper)
    kids = []
    for _ in range(3):
        with database.begin() as session:
            kids.append(oscore.rotate(session, wrapper, NODE))
    assert len(set(kids)) == 1
    assert strike(database, find(database, wrapper, kids[0]), 0)
    with database.begin() as session:
        assert oscore.rotate(session, wrapper, NODE) != kids[0]


def test_a_node_without_a_key_gets_its_first_one_by_rotation(
    database: Database, wrapper: FileKey
) -> None:
    with database.begin() as session:
        kid = oscore.rotate(session, wrapper, NODE)
    assert strike(database, find(database, wrapper, kid), 0)
    assert states(database) == [(kid, "current")]


def test_a_revoked_context_strikes_nothing_even_if_a_server_still_holds_it(
    database: Database, wrapper: FileKey
) -> None:
    held = find(database, wrapper, new(database, wrapper).kid)
    with database.begin() as session:
        oscore.rotate(session, wrapper, NODE)
    with database.begin() as session:
        assert oscore.revoke(session, NODE) == 2
    assert not strike(database, held, 0)
    assert not strike(database, held, 0, fresh=True)
    assert states(database) == []
    with pytest.raises(IdentityError, match="retired"), database.begin() as session:
        oscore.take_numbers(session, held.id, 1)


def test_attack_secret_moved_to_another_row(database: Database, wrapper: FileKey) -> None:
    """Whoever writes the database cannot give a node's secret to a node of his own."""
    mine, victim = new(database, wrapper), new(database, wrapper, OTHER)
    with database.begin() as session:
        wrapped = session.scalar(
            select(OscoreContext.secret).where(OscoreContext.kid == victim.kid)
        )
        session.execute(
            update(OscoreContext).where(OscoreContext.kid == mine.kid).values(secret=wrapped)
        )
    moved = find(database, wrapper, mine.kid)
    with pytest.raises(WrappingError):
        _ = moved.secret
    assert bytes(find(database, wrapper, victim.kid).secret) == bytes(victim.secret)


def test_no_secret_in_reprs_logs_or_the_file(
    database: Database, wrapper: FileKey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        database.engine.echo = "debug"
        made = new(database, wrapper)
        with database.begin() as session:
            kid = oscore.rotate(session, wrapper, NODE)
        found, following = find(database, wrapper, made.kid), find(database, wrapper, kid)
        for context in (found, following):
            assert isinstance(context.secret, SecretBytes)
            told = f"{context!r} {context} {context.secret!r} {made!r} {wrapper!r}" + caplog.text
            raw = bytes(context.secret)
            for form in (raw.hex(), repr(raw)[2:-1], str(list(raw))):
                assert form not in told
    database.close()
    assert caplog.text.count("INSERT INTO oscore_contexts") >= 2
    for path in tmp_path.glob("kapok.db*"):
        for context in (found, following):
            assert bytes(context.secret) not in path.read_bytes()
