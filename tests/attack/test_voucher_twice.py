"""One voucher, many boards that claim by it at once: exactly one gets an identity."""

import threading
from pathlib import Path
from typing import Any

import pytest
from claims_rig import Board, desk
from sqlalchemy.orm import Session

from fleet.identity.tables import VoucherClaim
from fleet.wire import claim as wire

RUNNERS = 4
ROUNDS = 5


def _race(folder: Path) -> list[int]:
    """How many boards won, in each round."""
    won = []
    with desk(folder) as made:
        for voucher in made.issue(ROUNDS):
            boards = [Board() for _ in range(RUNNERS)]
            barrier = threading.Barrier(RUNNERS)
            grants: list[wire.Grant] = []

            def claim(board: Board, voucher: str = voucher, barrier: Any = barrier,
                      grants: list[wire.Grant] = grants) -> None:  # fmt: skip
                ingest = made.another_ingest()
                sent = board.claim(voucher)
                barrier.wait()
                (outcome,) = ingest.process([sent])
                grants.append(wire.decode_grant(outcome.receipt or b""))

            threads = [threading.Thread(target=claim, args=(board,)) for board in boards]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert len(grants) == RUNNERS
            assert {grant.reason for grant in grants} <= {0, wire.USED}
            won.append(sum(grant.reason == 0 for grant in grants))
            assert len(made.nodes() & {board.node_id for board in boards}) == won[-1]
    return won


def test_attack_two_boards_race_for_one_voucher(tmp_path: Path) -> None:
    assert _race(tmp_path) == [1] * ROUNDS


def test_attack_a_second_board_comes_with_the_copied_credentials(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        assert made.ask(Board(), voucher).reason == 0
        thief = Board()
        assert made.ask(thief, voucher).reason == wire.USED
        assert thief.node_id not in made.nodes()


def test_attack_the_same_node_id_comes_with_another_key(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        board = Board()
        granted = made.ask(board, voucher)
        assert made.ask(Board(board.node_id), voucher).reason == wire.USED
        assert made.ask(board, voucher) == granted


def test_sabotage_without_the_claims_row_a_second_board_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        assert made.ask(Board(), voucher).reason == 0
        with made.database.begin() as session:
            session.connection().exec_driver_sql("DELETE FROM voucher_claims")
            session.connection().exec_driver_sql("UPDATE vouchers SET node_id = NULL")
        assert made.ask(Board(), voucher).reason == 0


def test_of_two_claims_that_both_saw_none_the_key_lets_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a database whose transactions run side by side: the look came too early."""
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        first, second = Board(), Board()
        assert made.ask(first, voucher).reason == 0
        found = Session.get
        looks: list[Any] = []

        def early(self: Session, entity: Any, key: Any, **more: Any) -> Any:
            if entity is VoucherClaim and not looks:
                looks.append(key)
                return None
            return found(self, entity, key, **more)

        with made.database.begin() as session:
            session.connection().exec_driver_sql("UPDATE vouchers SET node_id = NULL")
        monkeypatch.setattr(Session, "get", early)
        assert made.ask(second, voucher).reason == wire.USED
        assert looks == [voucher]
        assert second.node_id not in made.nodes()
