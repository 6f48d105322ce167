"""Claim tokens: their text, their life, and that a count is never overdrawn."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from fleet.db.base import Database
from fleet.identity import token_text, tokens
from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.identity.token_tables import ClaimToken
from fleet.wire.nodeid import ALPHABET

FLEET = token_text.fleet_digest(b"a root CA")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """With every table."""
    opened = rig.open_database(tmp_path)
    yield opened
    opened.close()


def add(database: Database, count: int = 1, person: str = "Li Wei") -> bytes:
    """A token for gas meters of Tianhe; its secret."""
    with database.begin() as session:
        _, text = tokens.add(
            session, FLEET, person=person, area=rig.AREA, node_type="gas-meter", count=count,
            days=7,
        )  # fmt: skip
    return token_text.decode(text).secret


def redeem(database: Database, secret: bytes, node_id: str, serial: str = "0" * 40) -> None:
    """As a claim does, without a certificate."""
    with database.begin() as session:
        token = tokens.accept(session, secret)
        tokens.redeem(session, token, node_id, serial=serial, policy="first", area=rig.AREA)


def confirm(database: Database, secret: bytes, node_id: str) -> None:
    """As a confirmation does."""
    with database.begin() as session:
        held = tokens.claim_of(session, tokens.accept(session, secret), node_id)
        assert held is not None
        held.confirmed_us = 1


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_text_gives_back_what_it_was_made_of(secret: bytes, fleet: bytes) -> None:
    text = token_text.encode(token_text.TokenText(SecretBytes(secret), fleet))
    assert len(text) == 63
    for typed in (
        text,
        text.upper(),
        f" {text[:20]}\n{text[20:]} ",
        "-".join([text[:9], text[9:]]),
    ):
        assert token_text.decode(typed) == (secret, fleet)
    misread = text[:5] + text[5:].replace("0", "o").replace("1", "l")
    assert token_text.decode(misread) == (secret, fleet)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_one_line_that_does_not_repeat_it(text: str) -> None:
    for tried in (text, token_text.PREFIX + text):
        with pytest.raises(token_text.TokenTextError) as refused:
            token_text.decode(tried)
        assert "\n" not in str(refused.value)


@given(st.data())
def test_one_wrong_character_is_seen(data: st.DataObject) -> None:
    text = token_text.encode(token_text.draw(FLEET))
    place = data.draw(st.integers(5, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(text[place], "")))
    with pytest.raises(token_text.TokenTextError):
        token_text.decode(text[:place] + other + text[place + 1 :])


def test_a_secret_never_shows(database: Database, tmp_path: Path) -> None:
    secret = add(database)
    assert secret.hex() not in repr(token_text.TokenText(SecretBytes(secret), FLEET))
    for path in tmp_path.iterdir():
        raw = path.read_bytes()
        assert bytes(secret) not in raw
        assert secret.hex().encode() not in raw


def test_an_unconfirmed_claim_is_repeated_for_nothing(database: Database) -> None:
    secret, node = add(database, 1), rig.new_node_id()
    for number in range(5):
        redeem(database, secret, node, f"{number:040x}")
    (row,) = rig.query(
        Path(str(database.engine.url.database)), "SELECT used, count FROM claim_tokens"
    )
    assert row == (1, 1)
    with pytest.raises(tokens.TokenSpent):
        redeem(database, secret, rig.new_node_id())
    confirm(database, secret, node)
    with pytest.raises(tokens.TokenSpent):
        redeem(database, secret, node)


def test_a_confirmed_board_takes_another_of_the_count(database: Database) -> None:
    secret, node = add(database, 2), rig.new_node_id()
    redeem(database, secret, node)
    confirm(database, secret, node)
    redeem(database, secret, node)
    with database.read() as session:
        (listed,) = tokens.list_(session)
    assert (listed.used, listed.boards, listed.state) == (2, 2, "spent")


def test_what_fails_behind_the_count_gives_it_back(database: Database) -> None:
    secret = add(database)

    def broken() -> None:
        with database.begin() as session:
            token = tokens.accept(session, secret)
            tokens.redeem(
                session, token, rig.new_node_id(), serial="0" * 40, policy="first", area=""
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    redeem(database, secret, rig.new_node_id())


def test_a_persons_tokens_end_at_once(database: Database) -> None:
    stolen = [add(database, 5) for _ in range(3)]
    other = add(database, 1, "Wang Fang")
    with database.begin() as session:
        assert tokens.revoke(session, tokens.of_person("Li Wei")) == 3
        assert tokens.revoke(session, tokens.of_person("Li Wei")) == 0
    for secret in stolen:
        with pytest.raises(tokens.TokenRefused):
            redeem(database, secret, rig.new_node_id())
    redeem(database, other, rig.new_node_id())
    with database.read() as session:
        assert {one.state for one in tokens.list_(session, "Li Wei")} == {"revoked"}


def test_an_expired_token_is_refused(database: Database) -> None:
    secret = add(database)
    with database.begin() as session:
        session.execute(update(ClaimToken).values(expires_us=1))
    with pytest.raises(tokens.TokenRefused):
        redeem(database, secret, rig.new_node_id())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"count": 0}, "1 to 10000 boards"),
        ({"days": 0}, "1 to 366 days"),
        ({"policy": "x"}, "one of keep-identity"),
    ],
)
def test_bounds(database: Database, wrong: dict[str, object], says: str) -> None:
    asked = {"person": "A", "area": "44", "node_type": "gas-meter", "count": 1, "days": 1}
    with database.begin() as session, pytest.raises(IdentityError, match=says):
        tokens.add(session, FLEET, **{**asked, **wrong})  # type: ignore[arg-type]


def test_the_database_itself_refuses_an_overdrawn_count(database: Database) -> None:
    from sqlalchemy.exc import IntegrityError

    add(database)
    with pytest.raises(IntegrityError), database.begin() as session:
        session.execute(update(ClaimToken).values(used=2))
