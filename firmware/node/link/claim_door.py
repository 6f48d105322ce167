"""The door as a voucher opens it: it carries one claim up and its grant down.

It has `claim(payload, deadline_ms) -> bytes` beside what node.link.door says.
"""

from node import config as stored


async def open_door(session, bearer):
    """The open door over `bearer` under the voucher's credentials; `session.opened` has it."""
    config = session.config
    if config.get("door") == "coap":
        from node.link.claim_coap import CoapClaim
        from node.link.door import coverage

        ecl = await coverage(bearer)
        door = CoapClaim(bearer, config, stored.oscore("vosc"), session.state, ecl)
    else:
        from node.link.claim_mqtt import MqttClaim

        values = dict(config)
        values.update(stored.credentials("vkey", "vcert"))
        values["node"] = session.voucher
        door = MqttClaim(bearer, values)
    session.opened.append(door)
    await door.open()
    return door
