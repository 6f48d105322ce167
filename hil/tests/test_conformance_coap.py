"""Conformance of the node's CoAP: how it puts up with a peer that is silent, or is not the fleet.
The peer is a port of the rig, in the fleet's place.
"""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl
from hil.servers.coap_peer import CoapPeer, forged, nothing
from hil.tests.told import HOURLY

ACK_S = (15.0, 20.0, 40.0)  # ACK_TIMEOUT by coverage level: firmware/node/link/coap.py
RANDOM = 1.5  # ACK_RANDOM_FACTOR
TRIES = 1 + 4  # MAX_RETRANSMIT
SLACK_S = 3.0  # to hand a datagram to the modem
ENDS_S = 180.0  # firmware/node/link/coap_door.py: the receipt is waited for so long
AWAKE_S = 300
HASTE = 60  # nobody says anything meanwhile

pytestmark = [
    pytest.mark.node("gas-meter"),
    pytest.mark.start("off"),
    pytest.mark.needs("modem-twin"),  # no other modem reaches a port of this machine
]


@pytest.fixture
def peer(node: Node, fleet: Fleet) -> Iterator[CoapPeer]:
    """Not yet the node's: see `meets`."""
    found = CoapPeer()
    yield found
    found.close()


def meets(node: Node, peer: CoapPeer) -> None:
    """The node boots, and whom it takes for the fleet is that one."""
    node.configure({**HOURLY, "port": peer.port})
    node.hurry(HASTE)


@pytest.mark.requirement("K-COAP-01")
@pytest.mark.parametrize("ecl", [0, 2])
def test_a_request_without_answer_is_repeated_and_given_up(
    node: Node, peer: CoapPeer, modem: ModemControl, ecl: int
) -> None:
    peer.answers(nothing)
    modem.set(ecl=ecl)
    at = modem.mark()
    meets(node, peer)
    node.until(lambda: peer.came, AWAKE_S)
    node.until(lambda: node.asleep, AWAKE_S)
    came, sent = list(peer.came), modem.said("QISEND=", at, "host")
    closed = modem.said("QICLOSE", at, "host")[0]
    assert 2 <= len(came) == len(sent) <= TRIES
    assert len(set(came)) == 1, "the same message, by its id: the fleet may have it already"
    waits = [(b.at_us - a.at_us) / 1e6 for a, b in pairwise(sent)]
    assert ACK_S[ecl] <= waits[0] <= RANDOM * ACK_S[ecl] + SLACK_S
    for before, wait in pairwise(waits):
        assert abs(wait - 2 * before) < SLACK_S, waits
    assert (closed.at_us - sent[0].at_us) / 1e6 < ENDS_S + SLACK_S
    node.wait(1)
    assert peer.came == came, "that was all"


@pytest.mark.soak
@pytest.mark.requirement("K-COAP-02", "K-STO-02")
def test_an_answer_that_is_not_sealed_for_this_node_is_ignored(
    node: Node, fleet: Fleet, peer: CoapPeer
) -> None:
    before, since = fleet.reported_us(node), fleet.mark()
    peer.answers(forged)
    meets(node, peer)
    node.until(lambda: len(peer.came) >= 3, AWAKE_S)
    assert len(set(peer.came)) == 1, "it asks on as if nothing had come"
    node.until(lambda: node.asleep, AWAKE_S)
    node.wait(2 * 3600)  # with hours that nobody has
    assert fleet.reported_us(node) == before
    node.until(lambda: node.asleep, AWAKE_S)
    node.hurry(1)
    peer.relays(fleet.port_of("coap"))
    fleet.wait_report(node, 4 * 3600, before)
    hours = [one.time_us for one in fleet.readings(node, "gas_volume", since)]
    assert hours, "nothing was forgotten for a word that anybody can say"
    assert len(set(hours)) == len(hours)
