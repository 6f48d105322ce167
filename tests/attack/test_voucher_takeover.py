"""A voucher in wrong hands, to become a node that exists: refused without its laptop's word."""

from pathlib import Path

import fleet_rig as rig
import pytest
from claims_rig import PERSON, Board, desk

from fleet.identity import claims
from fleet.identity.errors import IdentityError
from fleet.identity.tables import Voucher
from fleet.registry import operations as registry
from fleet.wire import claim as wire


def test_attack_a_voucher_claims_a_node_that_reports(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (victim,) = rig.add_nodes(made.database, 1)
        (voucher,) = made.issue()
        assert made.ask(Board(victim), voucher).reason == wire.TAKEN
        (outcome,) = made.ingest.process([rig.message(victim, rig.make_report(1, [1]))])
        assert outcome.kind == "stored"


def test_sabotage_a_binding_by_nobody_lets_it_in(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (victim,) = rig.add_nodes(made.database, 1)
        (voucher,) = made.issue()
        with made.database.begin() as session:
            found = session.get(Voucher, voucher)
            assert found is not None
            found.node_id = victim
        assert made.ask(Board(victim), voucher).reason == 0


@pytest.mark.parametrize("state", ["revoked", "quarantined", "retired"])
def test_attack_a_node_that_was_shut_out_comes_back_by_a_voucher(
    tmp_path: Path, state: str
) -> None:
    with desk(tmp_path) as made:
        (victim,) = rig.add_nodes(made.database, 1)
        (voucher,) = made.issue()
        with made.database.begin() as session:
            registry.set_state(session, victim, state)
            claims.announce(session, PERSON, voucher, victim)
        assert made.ask(Board(victim), voucher).reason == wire.FOREIGN
        with made.database.read() as session:
            assert registry.show_node(session, victim).state == state


def test_attack_a_laptop_binds_a_node_of_another_area(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue()
        node_id = rig.new_node_id()
        with made.database.begin() as session:
            registry.add_area(session, "440105", "Haizhu")
            registry.add_node(session, node_id, "drainage", "440105")
        with made.database.begin() as session, pytest.raises(IdentityError, match="440105"):
            claims.announce(session, PERSON, voucher, node_id)


def test_attack_a_laptop_binds_the_voucher_of_somebody_else(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        (voucher,) = made.issue(person="li")
        with made.database.begin() as session, pytest.raises(IdentityError, match="wang has no"):
            claims.announce(session, PERSON, voucher, rig.new_node_id())
        assert made.state(voucher) == "fresh"
