"""Conformance of the node's TLS, after AWS IoT Device Advisor: what it must refuse, and what it
must put up with. The servers are the rig's own; the node takes each for the fleet's.
"""

import pytest

from hil.servers import wrong
from hil.servers.door import CAUSE, ERROR, TLS_ERROR, Door
from hil.servers.standin import StandIn

pytestmark = [
    pytest.mark.node("lamppost"),
    pytest.mark.start("off"),
    pytest.mark.needs("modem-twin"),  # no other modem reaches a port of this machine
]
# Of mbedTLS 3.6, x509.h and ssl.h: the chain is not good; no such version; the other side's alert.
VERIFY_FAILED, BAD_VERSION, FATAL_ALERT = -0x2700, -0x6E80, -0x7780


def refused(door: Door, server: StandIn) -> int:
    """The node ends the handshake before it says anything, tries again by itself, and tells the
    fleet later why it did not come; the cause.
    """
    door.held_by(server)
    assert not any(visit.secured for visit in door.tried(2))
    assert server.packets == []
    status = door.told()
    assert status[ERROR] == TLS_ERROR
    return status[CAUSE]


def accepted(door: Door, server: StandIn) -> None:
    """The node shows its certificate, and its records are taken, each once."""
    door.held_by(server)
    assert all(visit.secured for visit in door.tried(2))
    assert len(server.records) == len(set(server.records)) > 0


@pytest.mark.requirement("K-TLS-08")
def test_a_server_of_the_fleets_authority_is_talked_to(door: Door) -> None:
    accepted(door, StandIn(door.context()))


@pytest.mark.requirement("K-TLS-01")
def test_a_server_of_an_unknown_authority_is_refused(door: Door) -> None:
    assert refused(door, StandIn(door.context(wrong.unknown))) == VERIFY_FAILED


@pytest.mark.requirement("K-TLS-02")
def test_an_expired_certificate_is_refused(door: Door) -> None:
    assert refused(door, StandIn(door.context(wrong.expired))) == VERIFY_FAILED


@pytest.mark.requirement("K-TLS-03")
def test_a_certificate_for_another_name_is_refused(door: Door) -> None:
    assert refused(door, StandIn(door.context(wrong.other_name))) == VERIFY_FAILED


@pytest.mark.requirement("K-TLS-04")
def test_a_short_key_is_refused(door: Door) -> None:
    assert refused(door, StandIn(door.context(wrong.short_key))) == VERIFY_FAILED


@pytest.mark.requirement("K-TLS-05")
def test_a_server_that_knows_no_tls_1_2_is_refused(door: Door) -> None:
    context = door.context()
    wrong.old(context)
    assert refused(door, StandIn(context)) == BAD_VERSION


@pytest.mark.requirement("K-TLS-05")
def test_a_cipher_that_hides_nothing_is_refused(door: Door) -> None:
    context = door.context()
    wrong.open_cipher(context)
    assert refused(door, StandIn(context)) == FATAL_ALERT


@pytest.mark.requirement("K-TLS-06")
def test_a_large_chain_is_taken(door: Door) -> None:
    accepted(door, StandIn(door.context(wrong.large)))


@pytest.mark.requirement("K-TLS-07")
def test_records_of_the_largest_size_are_taken(door: Door) -> None:
    accepted(door, StandIn(door.context(), large_record=True))
