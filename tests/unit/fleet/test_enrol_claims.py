"""What a claim issues, and what becomes of a node that was registered before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from coap_rig import WRAPPER
from enrol_rig import TRUST, Board, Calls, EnrolFleet, enrol_fleet, order, provision
from sqlalchemy import select

from fleet.control import operations as control
from fleet.control.configuration import configure
from fleet.enrol.client import ClaimRefused, PolicyWanted
from fleet.flashing import held, nvs
from fleet.flashing.provision import NeedsPolicy
from fleet.identity import contexts, hmac_keys, operations
from fleet.registry import operations as registry
from fleet.registry.tables import Installation
from fleet.wire import cbor


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnrolFleet]:
    """As the rig's."""
    with enrol_fleet(tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def board(fleet: EnrolFleet) -> Board:
    """A board in service: provisioned, with a patch in force, one waiting, and a register."""
    made = Board()
    provision(Calls(fleet, fleet.token(1)), made)
    with fleet.database.begin() as session:
        configure(session, made.node_id, {"report_s": 43200})
        control.settle(session, {made.node_id: (1, 1, 0)})
        configure(session, made.node_id, {"report_s": 60})
    values = nvs.decode(bytes(made.nvs))
    config = {**held.configuration_of(values["kapok"]), "report_s": 43200}
    values["kapok"] |= {"pulses": 4711, "down": 1, "cfgn": 1, "cfg": cbor.encode(config)}
    made.nvs[:] = nvs.encode(values, len(made.nvs))
    return made


def on_board(board: Board) -> dict[str, Any]:
    """The firmware's values."""
    return dict(nvs.decode(bytes(board.nvs))["kapok"])


def config(board: Board) -> dict[str, Any]:
    """The board's configuration."""
    return dict(held.configuration_of(on_board(board)))


def asset(fleet: EnrolFleet, board: Board) -> int | None:
    """What the node serves now."""
    with fleet.database.read() as session:
        return registry.show_node(session, board.node_id).asset_id


def waiting(fleet: EnrolFleet, board: Board) -> list[int]:
    """Numbers of the items that a node would get."""
    with fleet.database.read() as session:
        found = control.pending(session, WRAPPER, [board.node_id], registry.now_us())
    return [item.number for item in found[board.node_id].items] if found else []


def test_a_new_board_gets_all_that_belongs_on_it(fleet: EnrolFleet) -> None:
    board = Board()
    done = provision(Calls(fleet, fleet.token(1)), board, order(values={"litres_per_pulse": 100}))
    assert (done.result, done.policy, done.area) == ("provisioned", "first", rig.AREA)
    ours = on_board(board)
    assert set(ours) == {
        "cfg", "key", "cert", "ca", "oscore", "key2", "csr2", "hmac", "trust",
    }  # fmt: skip
    assert ours["ca"] == fleet.authority.root_der
    assert len(ours["hmac"]) == 32
    assert ours["trust"] == TRUST
    found = config(board)
    assert found["node"] == board.node_id
    assert (found["door"], found["host"], found["port"]) == ("coap", "localhost", 5683)
    assert (found["apn"], found["litres_per_pulse"]) == ("iot.example", 100)
    with fleet.database.read() as session:
        node = registry.show_node(session, board.node_id)
    assert (node.role, node.state, node.area) == ("gas-meter", "active", rig.AREA)


def test_keep_identity_renews_the_credentials_alone(fleet: EnrolFleet, board: Board) -> None:
    before, old = on_board(board), asset(fleet, board)
    (live,), _ = fleet.certificates(board.node_id)
    board.nvs[:] = nvs.encode(
        {"kapok": {k: v for k, v in before.items() if k != "hmac"}}, len(board.nvs)
    )
    provision(Calls(fleet, fleet.token(1)), board, order("keep-identity"))
    after = on_board(board)
    for name in ("key", "cert", "oscore", "hmac", "key2"):
        assert after[name] != before[name], name
    assert (after["pulses"], after["down"], after["cfgn"]) == (4711, 1, 1)
    assert config(board)["report_s"] == 43200
    assert asset(fleet, board) == old
    assert waiting(fleet, board) == [2]
    with fleet.database.read() as session:
        assert int(live.serial, 16) in operations.revoked_serials(session)


def test_keep_identity_of_a_wiped_board_goes_on_by_what_the_fleet_knows(
    fleet: EnrolFleet, board: Board
) -> None:
    board.wipe()
    provision(Calls(fleet, fleet.token(1)), board, order("keep-identity"))
    ours = on_board(board)
    assert (ours["down"], ours["cfgn"]) == (1, 1)
    assert config(board)["report_s"] == 43200


def test_keep_history_ends_what_waits_and_keeps_the_asset(fleet: EnrolFleet, board: Board) -> None:
    old = asset(fleet, board)
    board.wipe()
    provision(Calls(fleet, fleet.token(1)), board, order("keep-history"))
    assert asset(fleet, board) == old
    assert waiting(fleet, board) == []
    assert config(board)["report_s"] == 86400
    assert on_board(board)["down"] == 1


def test_new_serves_another_asset_in_another_area(fleet: EnrolFleet, board: Board) -> None:
    old = asset(fleet, board)
    board.wipe()
    token = fleet.token(1, area="44")
    provision(Calls(fleet, token), board, order("new", area="440305"))
    assert asset(fleet, board) not in (None, old)
    assert waiting(fleet, board) == []
    with fleet.database.read() as session:
        assert registry.show_node(session, board.node_id).area == "440305"
        closed = session.scalar(select(Installation.to_us).where(Installation.asset_id == old))
    assert closed is not None
    assert "pulses" not in on_board(board)


def test_nothing_in_use_ends_before_the_confirmation(fleet: EnrolFleet, board: Board) -> None:
    (live,), _ = fleet.certificates(board.node_id)
    old = asset(fleet, board)
    calls = Calls(fleet, fleet.token(1))

    def check(name: str) -> None:
        if name == "confirm":
            assert [one.serial for one in fleet.certificates(board.node_id)[0]] == [live.serial]
            assert asset(fleet, board) == old
            assert waiting(fleet, board) == [2]
            with fleet.database.read() as session:
                states = [one.state for one in contexts.live(session, board.node_id)]
                assert states == ["current", "next"]
                assert len(hmac_keys.keys(session, WRAPPER, board.node_id)) == 2

    board.wipe()
    calls.before = check
    provision(calls, board, order("new"))
    assert calls.made == ["look", "claim", "confirm"]


def test_a_tokens_own_policy_asks_nobody_and_allows_no_other(
    fleet: EnrolFleet, board: Board
) -> None:
    board.wipe()
    calls = Calls(fleet, fleet.token(2, policy="keep-history"))
    with pytest.raises(ClaimRefused, match="the token allows keep-history, not new"):
        provision(calls, board, order("new"))
    assert provision(calls, board).policy == "keep-history"


def test_ask_asks_once_for_a_registered_board_only(fleet: EnrolFleet, board: Board) -> None:
    asked: list[str] = []

    def ask(node_id: str) -> str:
        asked.append(node_id)
        return "keep-history"

    calls = Calls(fleet, fleet.token(2))
    provision(calls, Board(), order(ask=ask))
    assert asked == []
    board.wipe()
    assert provision(calls, board, order(ask=ask)).policy == "keep-history"
    assert asked == [board.node_id]


def test_nobody_to_ask_claims_nothing(fleet: EnrolFleet, board: Board) -> None:
    def nobody(node_id: str) -> str:
        raise NeedsPolicy("--again")

    board.wipe()
    calls = Calls(fleet, fleet.token(1))
    with pytest.raises(NeedsPolicy):
        provision(calls, board, order(ask=nobody))
    assert calls.made == ["look"]
    with pytest.raises(PolicyWanted, match="--again keep-identity, keep-history or new"):
        provision(calls, board, order(ask=lambda node_id: ""))
    assert fleet.used() == 1  # of the token that provisioned it first


@pytest.mark.parametrize("state", ["revoked", "quarantined", "retired"])
def test_a_node_that_was_ended_keeps_no_identity(
    fleet: EnrolFleet, board: Board, state: str
) -> None:
    with fleet.database.begin() as session:
        registry.set_state(session, board.node_id, state)
        operations.revoke(session, board.node_id)
    calls = Calls(fleet, fleet.token(1))
    with pytest.raises(ClaimRefused, match=f"is {state}, its identity is not kept"):
        provision(calls, board, order("keep-identity"))
    provision(calls, board, order("keep-history"))
    with fleet.database.read() as session:
        assert registry.show_node(session, board.node_id).state == "active"


def test_another_claim_in_between_is_not_confirmed(fleet: EnrolFleet) -> None:
    board = Board()
    first, second = Calls(fleet, fleet.token(1)), Calls(fleet, fleet.token(1))
    twin = Board(board.mac)

    def meanwhile(name: str) -> None:
        if name == "confirm":
            provision(second, twin, order("keep-identity"))

    first.before = meanwhile
    with pytest.raises(ClaimRefused, match="was claimed anew meanwhile"):
        provision(first, board)
    live, pending = fleet.certificates(board.node_id)
    assert [len(live), len(pending)] == [1, 0]
