"""What rotation, quarantine and clones do while a board is provisioned: it stays well."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coap_rig import WRAPPER
from enrol_rig import Board, Calls, CutOff, EnrolFleet, enrol_fleet, order, provision

from fleet.alarms import operations as alarms
from fleet.clones import operations as clones
from fleet.flashing import held
from fleet.identity import contexts, oscore, rotation
from fleet.registry import operations as registry
from fleet.wire import cbor

YEARS_US = 30 * 365 * 86_400 * 1_000_000


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnrolFleet]:
    """As the rig's."""
    with enrol_fleet(tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def board(fleet: EnrolFleet) -> Board:
    """A board in service, that was wiped since."""
    made = Board()
    provision(Calls(fleet, fleet.token(1)), made)
    made.wipe()
    return made


def kid_on(board: Board) -> bytes:
    key = cbor.decode(bytes(held.read(bytes(board.nvs), board.node_id).values["kapok"]["oscore"]))
    assert isinstance(key, list)
    return bytes(key[0])


def state(fleet: EnrolFleet, board: Board) -> str:
    with fleet.database.read() as session:
        return registry.show_node(session, board.node_id).state


def test_a_rotation_that_is_due_leaves_a_claim_alone(fleet: EnrolFleet, board: Board) -> None:
    calls = Calls(fleet, fleet.token(1))
    rotated = []

    def meanwhile(name: str) -> None:
        if name == "confirm":
            with fleet.database.begin() as session:
                rotated.append(rotation.rotate_due(session, fleet.authority, YEARS_US))

    calls.before = meanwhile
    assert provision(calls, board, order("keep-identity")).result == "provisioned"
    assert rotated == [[]]
    live, pending = fleet.certificates(board.node_id)
    assert [len(live), len(pending)] == [1, 0]
    with fleet.database.begin() as session:
        assert len(rotation.rotate_due(session, fleet.authority, YEARS_US)) == 1, "now it may"


def test_a_late_confirmation_does_not_end_the_key_in_use(fleet: EnrolFleet, board: Board) -> None:
    calls = Calls(fleet, fleet.token(1))

    def meanwhile(name: str) -> None:
        if name != "confirm":
            return
        with fleet.database.begin() as session:  # the node reports, and an operator rotates
            kid = kid_on(board)
            found = contexts.find(session, WRAPPER, [kid])[kid]
            assert oscore.strike(session, [(found.id, 0, False)]) == [True]
            oscore.rotate(session, WRAPPER, board.node_id)

    calls.before = meanwhile
    provision(calls, board, order("keep-identity"))
    with fleet.database.read() as session:
        states = {one.kid: one.state for one in contexts.live(session, board.node_id)}
    assert states.pop(kid_on(board)) == "current"
    assert list(states.values()) == ["next"]


def test_a_quarantined_board_gets_new_keys(fleet: EnrolFleet) -> None:
    board = Board()
    provision(Calls(fleet, fleet.token(1)), board)
    before = kid_on(board)
    with fleet.database.begin() as session:
        clones.flag(session, board.node_id, "epochs", one=11, other=22)
    assert state(fleet, board) == "quarantined"
    done = provision(Calls(fleet, fleet.token(1)), board, order("keep-history"))
    assert done.result == "provisioned"
    assert kid_on(board) != before
    assert state(fleet, board) == "active"
    with fleet.database.read() as session:
        assert alarms.open_counts(session).get("clone", 0) == 0, "what was seen counts no more"


def test_a_claim_that_was_cut_is_decided_anew_once_the_node_was_ended(
    fleet: EnrolFleet, board: Board
) -> None:
    calls = Calls(fleet, fleet.token(1))

    def cut(name: str) -> None:
        if name == "claim":
            raise CutOff

    calls.after = cut
    with pytest.raises(CutOff):
        provision(calls, board, order("keep-identity"))
    with fleet.database.begin() as session:
        registry.set_state(session, board.node_id, "quarantined")
    calls.after = lambda _: None
    assert provision(calls, board, order("keep-history")).policy == "keep-history"
    assert state(fleet, board) == "active"
