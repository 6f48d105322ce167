"""Conformance of the node's MQTT, after AWS IoT Device Advisor: how it puts up with a broker that
is silent, forgetful or gone. The broker is the rig's own, in the fleet's place.
"""

import pytest

from hil.node import Node
from hil.protocols import ModemControl
from hil.servers.door import AMBLE, CAUSE, ERROR, MQTT_ERROR, TLS_ERROR, Door
from hil.servers.front import Silent
from hil.servers.standin import StandIn

pytestmark = [
    pytest.mark.node("lamppost"),
    pytest.mark.start("off"),
    pytest.mark.needs("modem-twin"),  # no other modem reaches a port of this machine
]
SILENT = 5  # refusals, before one connection is let through
BACK_OFF_S = (60, 120, 240, 480)  # behind each of them, and up to a quarter more by chance
CONTACT_S = 30  # to find the network and connect
BY_ITSELF_S = 2  # a wait without chance is the same within the node's whole seconds
HASTE = 200  # nobody says anything meanwhile


def waits_s(modem: ModemControl, mark: int) -> list[float]:
    """From the end of each try to the next, by the modem's clock."""
    waits, ended, closes = [], 0, False
    for line in modem.log(mark):
        if line.who == "host" and "QIOPEN=" in line.text and ended:
            waits.append((line.at_us - ended) / 1e6)
        if closes and line.who == "modem":
            ended = line.at_us
        closes = line.who == "host" and "QICLOSE" in line.text
    return waits


@pytest.mark.requirement("K-MQTT-01")
def test_silent_refusals_are_waited_out_longer_each_time_and_by_chance(
    node: Node, door: Door, modem: ModemControl
) -> None:
    """Five of them, then one is let through, twice. An hour and a quarter on a bench."""
    door.held_by(Silent())
    rounds = []
    for _ in range(2):
        door.front.plays(Silent())
        mark = modem.mark()
        node.hurry(HASTE)
        assert not any(visit.secured for visit in door.tried(SILENT, 3600, step_s=20))
        node.hurry(AMBLE)
        rounds.append(waits_s(modem, mark))
        door.is_the_fleets()
    for waits in rounds:
        for waited, least in zip(waits, BACK_OFF_S, strict=True):
            assert least <= waited < 1.25 * least + CONTACT_S
    apart = [abs(one - other) for one, other in zip(*rounds, strict=True)]
    assert max(apart) > BY_ITSELF_S, rounds


@pytest.mark.requirement("K-MQTT-02", "K-STO-02")
@pytest.mark.parametrize("without", [("RECEIPT",), ("PUBACK", "RECEIPT")], ids="-".join)
def test_what_nobody_received_is_published_again(door: Door, without: tuple[str, ...]) -> None:
    forgetful, good = StandIn(door.context(), without=without), StandIn(door.context())
    door.held_by(forgetful)
    door.tried(2)
    kept = set(forgetful.records)
    assert kept
    door.front.plays(good)
    door.tried(2)
    assert kept <= set(good.records)
    assert len(good.records) == len(set(good.records))


@pytest.mark.requirement("K-MQTT-02")
def test_a_receipt_without_puback_is_believed(door: Door) -> None:
    server = StandIn(door.context(), without=("PUBACK",))
    door.held_by(server)
    door.tried(3)
    assert len(server.records) == len(set(server.records)) > 0


@pytest.mark.requirement("K-MQTT-03")
@pytest.mark.parametrize("last", ["", "CONNACK", "SUBACK"])
def test_a_connection_on_which_nothing_comes_is_ended(
    door: Door, modem: ModemControl, last: str
) -> None:
    answers = ("CONNACK", "SUBACK", "PUBACK", "RECEIPT")
    server = StandIn(door.context(), without=answers[answers.index(last) + 1 if last else 0 :])
    mark = modem.mark()
    door.held_by(server)
    (tried, *_) = door.tried(1, 900)
    assert tried.secured
    opened = modem.said("QIOPEN=", mark, "host")[0].at_us
    closed = modem.said("QICLOSE", mark, "host")[0].at_us
    (connect, *_) = server.of("CONNECT")
    assert (closed - opened) / 1e6 < connect.keep_alive_s


@pytest.mark.requirement("K-MQTT-04")
@pytest.mark.parametrize("last", ["CONNACK", "SUBACK", "PUBACK"])
def test_a_server_that_hangs_up_is_connected_to_again(door: Door, last: str) -> None:
    server = StandIn(door.context(), ends_with=last)
    door.held_by(server)
    assert all(visit.secured for visit in door.tried(2))
    lost = set(server.records)
    good = StandIn(door.context())
    door.front.plays(good)
    door.tried(2)
    assert lost <= set(good.records)
    assert good.reports[0].status[ERROR] == TLS_ERROR


@pytest.mark.requirement("K-MQTT-05")
def test_a_refusal_by_the_broker_is_told_and_tried_again(door: Door) -> None:
    not_authorized = 5
    server = StandIn(door.context(), code=not_authorized)
    door.held_by(server)
    assert all(visit.secured for visit in door.tried(2))
    assert not server.of("SUBSCRIBE")
    status = door.told()
    assert (status[ERROR], status[CAUSE]) == (MQTT_ERROR, not_authorized)
