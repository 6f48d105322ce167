"""Configuration over the air: what can be sent, and what is in force."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ingest_rig import NODE, OTHER, open_database

from fleet.control import operations as control
from fleet.control.configuration import applied, configure
from fleet.control.errors import ControlError
from fleet.db.base import Database
from fleet.wire import cbor


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


def test_patches_up_to_the_one_applied_are_in_force(database: Database) -> None:
    with database.begin() as session:
        patches: list[dict[str, Any]] = [
            {"report_s": 3600, "apn": "a"}, {"apn": None, "door": "coap"}, {"pins": {"led": 4}},
            {"report_s": 60},
        ]  # fmt: skip
        assert [configure(session, NODE, patch) for patch in patches] == [1, 2, 3, 4]
        assert applied(session, NODE) == (0, {})
        control.settle(session, {NODE: (2, 2, 0)})
        assert applied(session, NODE) == (2, {"report_s": 3600, "door": "coap"})
        control.settle(session, {NODE: (4, 4, 3)})  # the third was refused
        assert applied(session, NODE) == (4, {"report_s": 60, "door": "coap"})
        assert applied(session, OTHER) == (0, {})


@pytest.mark.parametrize(
    "value", [0, -(2**63), 2**63 - 1, "", "长", True, None, [1, ["x"]], {"a": {"b": 1}}]
)
def test_values_arrive_as_they_are(database: Database, value: object) -> None:
    with database.begin() as session:
        configure(session, NODE, {"key": value})
        items = control.pending(session, None, [NODE], 0)[NODE].items  # type: ignore[arg-type]
    assert cbor.decode(items[0].payload) == {"key": value}


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ({}, "without keys"),
        ({"": 1}, "1 to 32"),
        ({"x" * 33: 1}, "1 to 32"),
        ({"k\n": 1}, "1 to 32"),
        ({"长": 1}, "1 to 32"),
        ({"k": 1.5}, "cannot be sent"),
        ({"k": [[[[[1]]]]]}, "cannot be sent"),
        ({"k": 2**63}, "cannot be sent"),
        ({"k": -(2**63) - 1}, "cannot be sent"),
        ({"k": 2**64}, "cannot be sent"),
        ({"k": "\udcff"}, "cannot be sent"),
        ({"k": {1.5: 1}}, "cannot be sent"),
        ({"k": "x" * 513}, "512 at most"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    database: Database, patch: dict[str, Any], says: str
) -> None:
    with database.begin() as session:
        with pytest.raises(ControlError, match=says) as refused:
            configure(session, NODE, patch)
        assert "\n" not in str(refused.value)
        assert control.pending(session, None, [NODE], 0) == {}  # type: ignore[arg-type]
