"""The node's door to the fleet, one interface over MQTT and CoAP.

    async open()
    async deliver(report, whole, deadline_ms, last) -> bytes
        the receipt for `report`, which covers at least one of its records; `whole` is the receipt
        that covers all of them. `last`: nothing follows in this wake.
    async poll(deadline_ms) -> bytes
        a receipt without ranges: what the fleet has for the node
    async fetch(number, size, deadline_ms) -> bytes
        the payload of an item of which a receipt told the size only
    async blocks(number, size, first, missing, take, deadline_ms) -> int
        asks for blocks of `size` bytes of update `number`'s stream: the one with index `first` and
        those behind it whose bits are set in `missing`, bytes whose most significant bit is
        `first`'s. `take(index, data)` is called for each that comes, in any order, maybe twice,
        maybe with data of another length: it judges, writes to flash, and does not wait. 0 when no
        more of them will come, whether all came or not: what is missing is asked for again. Else
        GONE, UNKNOWN or LATER of wire/release.py, and LinkError as for `deliver`. Needs no
        `deliver` before it, but none may be under way.
    async close()

BLOCK is the size of a block that suits the door: 256 to 4,096, a power of two. WINDOW is how many
it likes to be asked for at once. link/https.py has open, blocks, close, BLOCK and WINDOW only.

RECEIPT_MS is the deadline that suits `deliver` and `poll`. LinkError says what failed: of `open`
SocketError or TlsError, later MqttError, CoapError or DeliverTimeout. Cancelled, `open` leaves the
clearing up to `close`. Both doors carry the same report and the same receipt.
"""

from micropython import const

from node import config as stored
from node.errors import LinkError
from node.modules import forget

_DNS_MS = const(60_000)  # as the longest of link/modems


async def open_door(session, bearer):
    """The open door that the configuration names, over `bearer`; `session.opened` has it."""
    config = session.config
    if config.get("door") == "coap":
        ecl = await coverage(bearer)
        await bearer.resolve(config["host"], _DNS_MS)  # remembered: with the door it would be much
        forget("node.link.dns")
        from node.link.coap_door import CoapDoor

        door = CoapDoor(bearer, config, stored.oscore(), session.state, ecl)
    else:
        from node.link.mqtt_door import MqttDoor

        values = dict(config)
        values.update(stored.credentials())
        values["room"] = session.room
        door = MqttDoor(bearer, values)
    session.opened.append(door)
    await door.open()
    return door


async def coverage(bearer) -> "int | None":
    """The coverage enhancement level, by which the network's answers take their time."""
    try:
        return (await bearer.signal())["ecl"]
    except LinkError:
        return None
    finally:
        forget("node.link.cell")
