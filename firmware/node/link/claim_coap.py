"""The door by CoAP and OSCORE, for a claim."""

from micropython import const

from node.errors import CoapError
from node.link.coap_door import CHANGED, CoapDoor, answered
from node.wire import cbor

_GRANT = const(1)  # the number under which the grant is fetched
_MOST = const(2048)  # bytes of it


class CoapClaim(CoapDoor):
    """As CoapDoor, under the voucher's key. A grant is fetched, since it would fill a datagram."""

    async def claim(self, payload: bytes, deadline_ms: int) -> bytes:
        """The fleet's answer to a claim."""
        answer = await self.deliver(payload, b"", deadline_ms, False)
        try:
            size = cbor.decode(answer)
        except cbor.CborError:
            raise CoapError("no answer to a claim")
        if isinstance(size, int) and 0 < size <= _MOST:
            return await self.fetch(_GRANT, size, deadline_ms)
        return answer

    def _receipt(self, code: int, payload: bytes, whole: bytes) -> bytes:
        if code != CHANGED:
            raise answered(code)
        return payload
