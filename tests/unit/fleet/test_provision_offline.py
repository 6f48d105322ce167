"""A board that is provisioned without a network, cut at any byte: one voucher, and all of it."""

from pathlib import Path

import enrol_rig
import pytest
from claims_rig import Board as Claimer
from claims_rig import desk
from enrol_rig import Board, order
from voucher_file_rig import FLEET, voucher

from fleet.flashing import held, nvs
from fleet.flashing.errors import LinkLost
from fleet.flashing.provision import ALREADY
from fleet.flashing.provision_offline import VOUCHED, provision_offline
from fleet.flashing.vouchers import TAKEN, USED, VoucherError, VoucherFile

VOUCHER_KEYS = {"cfg", "key", "csr", "key2", "csr2", "ca", "vid", "vkey", "vcert", "vosc"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VoucherFile:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = VoucherFile(tmp_path / "vouchers.json")
    made.add(FLEET, [voucher(n) for n in range(3)])
    return made


def provision(board: Board, file: VoucherFile) -> str:
    return provision_offline("bench:1", board, file, order(), lambda step: None).result


def on_board(board: Board) -> dict[str, int | bytes]:
    return dict(nvs.decode(bytes(board.nvs)).get(held.NAMESPACE, {}))


def test_a_board_gets_a_voucher_once(file: VoucherFile) -> None:
    board = Board()
    assert provision(board, file) == VOUCHED
    assert set(on_board(board)) == VOUCHER_KEYS
    assert provision(board, file) == ALREADY
    assert board.writes == 1
    assert [one.state for one in file.all()].count(USED) == 1


@pytest.mark.parametrize("at", range(0, enrol_rig.NVS_BYTES, 777))
def test_a_board_that_is_cut_goes_on_with_its_own_voucher(file: VoucherFile, at: int) -> None:
    board, other = Board(), Board()
    board.cut_at = at
    with pytest.raises(LinkLost):
        provision(board, file)
    (taken,) = [one for one in file.all() if one.state == TAKEN]
    half = on_board(board)
    assert "vid" not in half or set(half) == VOUCHER_KEYS
    provision(other, file)
    assert on_board(other)["vid"] != taken.claim_id.encode()
    board.cut_at = None
    assert provision(board, file) == VOUCHED
    assert on_board(board)["vid"] == taken.claim_id.encode()


def test_the_register_goes_on_and_old_credentials_do_not(file: VoucherFile) -> None:
    board = Board()
    old: dict[str, int | bytes] = {
        "pulses": 4711, "down": 9, "cert": b"old", "hmac": b"old", "oscore": b"old", "q61": 64,
    }  # fmt: skip
    board.nvs[:] = nvs.encode({held.NAMESPACE: old}, enrol_rig.NVS_BYTES)
    assert provision(board, file) == VOUCHED
    assert set(on_board(board)) == VOUCHER_KEYS | {"pulses", "down"}
    assert on_board(board)["pulses"] == 4711


def test_without_a_voucher_nothing_is_written(file: VoucherFile) -> None:
    for _ in range(3):
        provision(Board(), file)
    board = Board()
    with pytest.raises(VoucherError, match="kapok voucher pull"):
        provision(board, file)
    assert board.writes == 0


def test_what_is_on_the_board_claims(file: VoucherFile, tmp_path: Path) -> None:
    """The requests that were written are those that the fleet grants."""
    board = Board()
    provision(board, file)
    values = on_board(board)
    with desk(tmp_path) as made:
        (claim_id,) = made.issue()
        claimer = Claimer(board.node_id)
        grant = made.ask(claimer, claim_id, csr=values["csr"], spare=values["csr2"])
    assert grant.reason == 0
