"""The two doors as a voucher opens them: they carry one claim up and its grant down.

Both have `claim(payload, deadline_ms) -> bytes` beside what node.link.door says.
"""

from node import config as stored
from node.wire import cbor

_ONE = b"\xa1\x00\x01"  # what `deliver` takes for a receipt: any answer to a claim counts
_GRANT = 1  # the number under which the grant is fetched
_GRANT_MOST = 2048


async def open_door(session, bearer):
    """The open door over `bearer` under the voucher's credentials; `session.opened` has it."""
    config = session.config
    if config.get("door") == "coap":
        from node.link.door import coverage

        door = _coap()(
            bearer, config, stored.oscore("vosc"), session.state, await coverage(bearer)
        )
    else:
        values = dict(config)
        values.update(stored.credentials("vkey", "vcert"))
        values["node"] = session.voucher
        door = _mqtt()(bearer, values)
    session.opened.append(door)
    await door.open()
    return door


def _mqtt():
    from node.link.mqtt_door import MqttDoor

    class MqttClaim(MqttDoor):
        """`config["node"]` is the claim id, which is the CN of the voucher's certificate."""

        def __init__(self, modem, config: dict) -> None:
            super().__init__(modem, config)
            self._receipts = "k1/%s/down/claim" % config["node"]
            self._reports = "k1/%s/up/claim" % config["node"]

        async def claim(self, payload: bytes, deadline_ms: int) -> bytes:
            """The fleet's answer to a claim."""
            return await self.deliver(payload, _ONE, deadline_ms, True)

        def _on_message(self, topic: str, payload: bytes) -> None:
            # The broker lets nobody but the fleet write here.
            if topic == self._receipts and self._whole is not None and self._receipt is None:
                self._receipt = payload
                self._woken.set()

    return MqttClaim


def _coap():
    from node.errors import CoapError
    from node.link.coap_door import CHANGED, CoapDoor, answered

    class CoapClaim(CoapDoor):
        """Under the voucher's OSCORE key; a grant is fetched, since it fills a datagram."""

        async def claim(self, payload: bytes, deadline_ms: int) -> bytes:
            """The fleet's answer to a claim."""
            answer = await self.deliver(payload, _ONE, deadline_ms, False)
            try:
                size = cbor.decode(answer)
            except cbor.CborError:
                raise CoapError("no answer to a claim")
            if isinstance(size, int) and 0 < size <= _GRANT_MOST:
                return await self.fetch(_GRANT, size, deadline_ms)
            return answer

        def _receipt(self, code: int, payload: bytes, whole: bytes) -> bytes:
            if code != CHANGED:
                raise answered(code)
            return payload

    return CoapClaim
