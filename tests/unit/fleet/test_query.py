"""The language in which nodes are named: what it says, what it refuses and where, and that it is
one statement.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, insert

from fleet.control import groups
from fleet.db.base import Database
from fleet.query import statement
from fleet.query.errors import QueryError
from fleet.registry.operations import show_node
from fleet.registry.tables import Terminal, TerminalTag
from fleet.telemetry.tables import Reading
from fleet.updates.tables import Running

NOW = rig.NOW_US
DAY_US = 86400 * 1_000_000


class Town:
    """Five nodes that differ in everything that can be asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.meter, self.other = sorted(rig.add_nodes(database, 2, "gas-meter"))
        (self.drain,) = rig.add_nodes(database, 1, "drainage")
        self.lamp, self.gone = sorted(rig.add_nodes(database, 2, "lamppost"))
        with database.begin() as session:
            from fleet.registry import operations as registry

            registry.add_area(session, "4403", "Shenzhen")
            self._set(session, self.lamp, area_code="4403", board="esp32-ec200")
            self._set(session, self.meter, board="esp32s3-bc660k", last_report_us=NOW - DAY_US)
            self._set(session, self.other, last_report_us=NOW - 9 * DAY_US)
            self._set(session, self.gone, state="retired")
            runs = {self.meter: 3, self.other: 7, self.drain: 0}
            session.execute(
                insert(Running),
                [
                    {"node_id": n, "sequence": s, "image": 0, "runtime": 0, "since_us": 0}
                    for n, s in runs.items()
                ],
            )
            session.add(TerminalTag(tag="pilot", node_id=self.meter))
            session.add(TerminalTag(tag="old stock", node_id=self.drain))
            groups.add(session, "hospital")
            groups.join(session, "hospital", [self.other])
            self._told(session, self.meter, 100, 3300, NOW - DAY_US)
            self._told(session, self.meter, 100, 3600, NOW - 2 * DAY_US)
            self._told(session, self.other, 100, 3100, NOW)
            self._told(session, self.meter, 101, -98, NOW)
            self._told(session, self.other, 101, -121, NOW)

    def _set(self, session: Any, node_id: str, **values: Any) -> None:
        row = session.get_one(Terminal, node_id)
        for name, value in values.items():
            setattr(row, name, value)

    def _told(self, session: Any, node_id: str, quantity: int, value: int, at_us: int) -> None:
        asset = show_node(session, node_id).asset_id
        session.add(
            Reading(
                asset_id=asset, terminal_id=node_id, quantity=quantity, time_us=at_us, value=value,
                quality=0, trust=0, received_us=at_us, clock_off=False,
            )
        )  # fmt: skip
        session.flush()

    def names(self, query: str) -> str:
        """Which of them, by a letter each."""
        with self.database.read() as session:
            found = set(session.scalars(statement.chosen(query, NOW)))
        letters = {"m": self.meter, "o": self.other, "d": self.drain, "l": self.lamp,
                   "g": self.gone}  # fmt: skip
        return "".join(letter for letter, node_id in letters.items() if node_id in found)


@pytest.fixture
def town(database: Database) -> Town:
    return Town(database)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("all", "modlg"),
        ("role = gas-meter", "mo"),
        ("role != gas-meter", "dlg"),
        ("role in (gas-meter, drainage)", "mod"),
        ("role not in (gas-meter, drainage)", "lg"),
        ("not role = gas-meter and not state = retired", "dl"),
        ("area = 44", "modlg"),
        ("area = 4401", "modg"),
        ("area in (4403, 4405)", "l"),
        ("board = esp32-ec200", "l"),
        ("board is known", "ml"),
        ("board is unknown", "odg"),
        ("version = 3", "m"),
        ("version < 7", "md"),
        ("version <= 7", "mod"),
        ("version > 0", "mo"),
        ("version = 1..6", "m"),
        ("version = ..3", "md"),
        ("version = 4..", "o"),
        ("version in (0, 5..8)", "od"),
        ("version is unknown", "lg"),
        ("not version < 7", "olg"),  # of those that never said, too
        ("version >= 7 and version is known", "o"),
        ("battery >= 3.3V", "m"),  # the newest one
        ("battery >= 3300mV", "m"),
        ("battery < 3300mV", "o"),
        ("battery is unknown", "dlg"),
        ("signal >= -110", "m"),
        ("signal = -130..-120", "o"),
        ("tag = pilot", "m"),
        ('tag = "old stock"', "d"),
        ("tag in (pilot, nothing)", "m"),
        ("tag is known", "md"),
        ("group = hospital", "o"),
        ("not group = hospital and role = gas-meter", "m"),
        ("state = retired", "g"),
        ("seen < 7d", "m"),
        ("seen >= 7d", "o"),
        ("seen is unknown", "dlg"),
        ("role = gas-meter or role = lamppost and state = retired", "mog"),
        ("(role = gas-meter or role = lamppost) and state = active", "mol"),
        ("ROLE = gas-meter AND NOT Version = 3", "o"),
        ("role=gas-meter and version<7", "m"),
    ],
)  # fmt: skip
def test_what_it_says(town: Town, query: str, wanted: str) -> None:
    assert town.names(query) == wanted


def test_a_node_by_its_id_and_whether_it_is_one_of_a_query(town: Town) -> None:
    assert town.names(f"node in ({town.meter}, {town.lamp})") == "ml"
    with town.database.read() as session:
        assert statement.matches(session, "role = gas-meter", town.meter, NOW)
        assert not statement.matches(session, "role = gas-meter", town.lamp, NOW)


@pytest.mark.parametrize(
    ("query", "column", "what"),
    [
        ("", 1, "the end where a name"),
        ("role", 5, "the end where =, !="),
        ("role =", 7, "the end where a value"),
        ("role = gas-meter and", 21, "the end where a name"),
        ("role = gas-meter version = 3", 18, "'version' where `and`, `or`"),
        ("(role = gas-meter", 18, "the end where `\\)`"),
        ("colour = red", 1, "'colour' is none of role, area"),
        ("role = gasmeter", 8, "'gasmeter': one of gas-meter"),
        ("role < gas-meter", 1, "role takes =, != and `in` only"),
        ("version = new", 11, "'new': a whole number"),
        ("version < 3..5", 11, "a range goes with ="),
        ("version = ..", 11, "a range has one end"),
        ("area = 4401..4403", 8, "area takes no range"),
        ("area = Tianhe", 8, "an area's code"),
        ("battery > full", 11, "a battery's voltage"),
        ("battery > 3", 11, "such as 3.3V or 3300mV"),  # it would be 3 mV
        ("seen < 7", 8, "an age, such as"),
        ("seen = 7d", 1, "seen takes <"),
        ("role in gas-meter", 9, "where `\\(`"),
        ("role not = gas-meter", 10, "where `in`"),
        ("version is 3", 12, "where `known` or `unknown`"),
        ('tag = "old stock', 7, "a quoted value does not end"),
        ("tag = a ! b", 9, "'!': not understood"),
        ("and = 3", 1, "where a name such as"),
        ("not " * 60 + "all", 161, "nested over 40"),
        ("(" * 60 + "all" + ")" * 60, 41, "nested over 40"),
        ("tag = a " * 300, 2001, "up to 2000 characters"),
    ],
)
def test_what_it_refuses_and_where(query: str, column: int, what: str) -> None:
    with pytest.raises(QueryError, match=what) as refused:
        statement.chosen(query, NOW)
    assert f"column {column}:" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_of_it_is_one_statement(town: Town) -> None:
    said: list[str] = []
    event.listen(town.database.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    query = (
        "role = gas-meter and area = 4401 and battery >= 3V and signal > -120 and tag = pilot"
        " and not group = hospital and version < 9 and seen < 30d"
    )
    assert town.names(query) == "m"
    assert len([each for each in said if each != "BEGIN"]) == 1


def test_values_are_never_part_of_the_statement(town: Town) -> None:
    assert town.names("""tag = "x' OR '1'='1" """) == ""
    with town.database.read() as session:
        compiled = statement.chosen("tag = pilot", NOW).compile(session.connection())
    assert "pilot" not in str(compiled)


words = st.sampled_from(
    ["role", "area", "version", "tag", "and", "or", "not", "in", "is", "known", "(", ")", ",",
     "=", "<", ">=", "..", "3", "4..5", '"', "gas-meter", "all", "\x00", "é", " "]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=30).map(" ".join)))
@hypothesis_settings(max_examples=150, deadline=None)
def test_any_text_gives_a_statement_or_a_refusal(text: str) -> None:
    with contextlib.suppress(QueryError):
        statement.chosen(text, NOW)


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    database = rig.open_database(folder)
    yield Town(database)
    database.close()


atoms = st.sampled_from(
    ["role = gas-meter", "area = 4403", "version < 7", "version is known", "battery >= 3.3V",
     "tag = pilot", "group = hospital", "state = active", "seen < 7d", "board is unknown"]
)  # fmt: skip
trees = st.recursive(
    atoms.map(lambda one: ("atom", one)),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def written(tree: Any) -> str:
    if tree[0] == "atom":
        return str(tree[1])
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"


def meant(tree: Any, town: Town, known: dict[str, set[str]]) -> set[str]:
    if tree[0] == "atom":
        if tree[1] not in known:
            known[tree[1]] = set(town.names(tree[1]))
        return known[tree[1]]
    first = meant(tree[1], town, known)
    if tree[0] == "not":
        return set("modlg") - first
    second = meant(tree[2], town, known)
    return first & second if tree[0] == "and" else first | second


@given(st.data())
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_and_or_and_not_are_those_of_sets(shared: Town, data: st.DataObject) -> None:
    """Of what is not known, too: a comparison with it is false, and its opposite true."""
    tree = data.draw(trees)
    assert set(shared.names(written(tree))) == meant(tree, shared, {})


@pytest.mark.parametrize("made", ["area = 4401", "area in (4401, 4403)"])
def test_an_area_ends_behind_every_digit_in_every_collation(made: str) -> None:
    """With a language's collation PostgreSQL has ":" before digits, and 440106001 beyond it."""
    compiled = statement.chosen(made, NOW).compile()
    ends = [value for value in compiled.params.values() if not str(value).isdecimal()]
    assert {end[:-1] for end in ends if str(end).startswith("44")} >= {"4401"}
    assert all(end[-1].isalpha() for end in ends)
