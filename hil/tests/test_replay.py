"""A command that somebody sends again, as it was sent: by the rig in the fleet's place."""

import hashlib
import hmac

import pytest

from fleet.wire import command, quantity, receipt
from hil.node import Node
from hil.servers.door import Door
from hil.servers.standin import StandIn

NUMBER = 5000  # of the item: above all that this fleet has sent
ITEM, RESULT = 900, 901
EXPIRES_S = 500  # so long it is good
# Only the fleet and the node have the key of the node's commands.
KEY = """
import esp32
key = bytearray(32)
esp32.NVS("kapok").get_blob("hmac", key)
print(key.hex())
"""

pytestmark = [
    pytest.mark.node("lamppost"),
    pytest.mark.start("off"),
    pytest.mark.needs("modem-twin"),  # no other modem reaches a port of this machine
]


def results(server: StandIn) -> list[int]:
    """What the node says that became of it, as often as it says so, each record once."""
    records = {
        (told.epoch, one.sequence): dict(one.values)
        for told in server.reports
        for one in told.records
    }
    return [each[RESULT] for each in records.values() if each.get(ITEM) == NUMBER]


@pytest.mark.requirement("K-CMD-01")
def test_a_command_that_is_sent_again_is_done_once(node: Node, door: Door) -> None:
    assert quantity.QUANTITIES[RESULT][0] == "result"
    node.to("provisioned")
    key = bytes.fromhex(node.prompt.exec(KEY).split()[-1])
    expiry = node.now_us // 10**6 + EXPIRES_S
    said = command.signed(node.id, NUMBER, command.READ_NOW, [], 1, expiry)
    mac = hmac.new(key, said, hashlib.sha256).digest()[: command.MAC]
    payload = command.encode(command.READ_NOW, [], 1, expiry, mac)
    server = StandIn(door.context(), items=[(NUMBER, receipt.COMMAND, payload)])
    door.held_by(server)
    door.tried(4)
    assert results(server) == [command.DONE]
