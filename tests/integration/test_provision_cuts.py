"""A run that is cut at any point, and the same run again: a good board and one identity."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import enrol_rig
import pytest
from coap_rig import WRAPPER
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from enrol_rig import Board, Calls, CutOff, EnrolFleet, enrol_fleet, order, provision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.flashing import held, nvs
from fleet.flashing.errors import LinkLost
from fleet.identity import contexts, hmac_keys, oscore
from fleet.wire import cbor

STEPS = ["look", "claim", "confirm"]
cuts = st.one_of(
    st.tuples(st.just("before"), st.sampled_from(STEPS)),
    st.tuples(st.just("after"), st.sampled_from(STEPS)),
    st.tuples(st.just("write"), st.integers(0, enrol_rig.NVS_BYTES - 1)),
)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnrolFleet]:
    """As the rig's."""
    with enrol_fleet(tmp_path, monkeypatch) as opened:
        yield opened


def on_board(board: Board) -> dict[str, Any]:
    """The firmware's values in NVS."""
    return dict(nvs.decode(bytes(board.nvs))[held.NAMESPACE])


def cut_run(calls: Calls, board: Board, cut: tuple[str, Any]) -> None:
    """One run that ends at `cut`, unless it is done before that."""
    where, what = cut

    def die(name: str) -> None:
        if name == what:
            raise CutOff

    board.cut_at = what if where == "write" else None
    if where != "write":
        setattr(calls, where, die)
    try:
        provision(calls, board, order("keep-identity"))
    except (CutOff, LinkLost):
        pass
    finally:
        calls.before = calls.after = lambda name: None
        board.cut_at = None


def check_one_identity(fleet: EnrolFleet, board: Board) -> None:
    """Exactly one live certificate, nothing pending, and the board has its key and all others."""
    ours = on_board(board)
    live, waiting = fleet.certificates(board.node_id)
    assert [len(live), len(waiting)] == [1, 0]
    assert live[0].fingerprint == hashlib.sha256(ours["cert"]).hexdigest()
    certificate = x509.load_der_x509_certificate(ours["cert"])
    key = load_der_private_key(ours["key"], None)
    assert certificate.public_key() == key.public_key()
    assert f"{certificate.serial_number:040x}" == live[0].serial
    with fleet.database.read() as session:
        (context,) = contexts.live(session, board.node_id)
        (secret,) = hmac_keys.keys(session, WRAPPER, board.node_id)
        known = oscore.find(session, WRAPPER, [context.kid])[context.kid]
        assert context.state == contexts.CURRENT
        assert ours["oscore"] == cbor.encode([known.kid, known.secret])
    assert ours["hmac"] == secret
    spare = x509.load_der_x509_csr(ours["csr2"])
    assert spare.public_key() == load_der_private_key(ours["key2"], None).public_key()
    assert spare.public_key() != key.public_key()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(cuts, max_size=4))
def test_any_cuts_and_one_run_more(fleet: EnrolFleet, several: list[tuple[str, Any]]) -> None:
    board, calls = Board(), Calls(fleet, fleet.token(1))
    for cut in several:
        cut_run(calls, board, cut)
    provision(calls, board)
    check_one_identity(fleet, board)
    assert provision(calls, board).result == "already provisioned"


@pytest.mark.parametrize("place", range(0, 2 * enrol_rig.SECTOR, 331))
def test_a_write_cut_anywhere(fleet: EnrolFleet, place: int) -> None:
    board, calls = Board(), Calls(fleet, fleet.token(1))
    cut_run(calls, board, ("write", place))
    provision(calls, board)
    check_one_identity(fleet, board)
    assert fleet.used() == 1


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(cuts, min_size=1, max_size=4))
def test_cuts_while_an_identity_is_renewed_lose_no_number(
    fleet: EnrolFleet, several: list[tuple[str, Any]]
) -> None:
    board = Board()
    provision(Calls(fleet, fleet.token(1)), board)
    values = nvs.decode(bytes(board.nvs))
    values[held.NAMESPACE] |= {"pulses": 4711, "down": 12, "cfgn": 9, "q000000": 64}
    del values[held.NAMESPACE]["hmac"]  # as a board of before this page
    board.nvs[:] = nvs.encode(values, enrol_rig.NVS_BYTES)
    calls = Calls(fleet, fleet.token(1))
    for cut in several:
        cut_run(calls, board, cut)
    provision(calls, board, order("keep-identity"))
    check_one_identity(fleet, board)
    ours = on_board(board)
    assert (ours["pulses"], ours["down"], ours["cfgn"]) == (4711, 12, 9)
    assert "q000000" not in ours


def test_a_cut_before_the_confirmation_is_confirmed_without_a_write(fleet: EnrolFleet) -> None:
    board, calls = Board(), Calls(fleet, fleet.token(1))
    cut_run(calls, board, ("before", "confirm"))
    assert board.writes == 1
    live, waiting = fleet.certificates(board.node_id)
    assert [len(live), len(waiting)] == [0, 1]
    assert provision(calls, board).result == "confirmed"
    assert board.writes == 1
    check_one_identity(fleet, board)


def test_sabotage_a_board_that_is_confirmed_unread_has_no_identity(
    fleet: EnrolFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the comparison of what the board holds, a torn write would be taken for good."""
    monkeypatch.setattr(Board, "read_partition", lambda self, label: self.believed)
    board, calls = Board(), Calls(fleet, fleet.token(1))
    board.believed = bytes(board.nvs)  # type: ignore[attr-defined]

    def lossy(self: Board, label: str, data: bytes) -> None:
        self.believed = data  # type: ignore[attr-defined]
        self.nvs[: len(data) // 2] = data[: len(data) // 2]
        self.nvs[64:4096] = b"\xff" * 4032

    monkeypatch.setattr(Board, "write_partition", lossy)
    provision(calls, board)
    with pytest.raises(KeyError):
        check_one_identity(fleet, board)
