"""The door by MQTT over TLS, for a claim."""

from node.link.mqtt_door import MqttDoor
from node.wire import receipt


class MqttClaim(MqttDoor):
    """As MqttDoor; `config["node"]` is the claim id, the CN of the voucher's certificate."""

    def __init__(self, modem, config: dict) -> None:
        super().__init__(modem, config)
        self._receipts = "k1/%s/down/claim" % config["node"]
        self._reports = "k1/%s/up/claim" % config["node"]

    async def claim(self, payload: bytes, deadline_ms: int) -> bytes:
        """The fleet's answer to a claim."""
        return await self.deliver(payload, receipt.encode(0, []), deadline_ms, True)

    def _on_message(self, topic: str, payload: bytes) -> None:
        # The broker lets nobody but the fleet write here.
        if topic == self._receipts and self._whole is not None and self._receipt is None:
            self._receipt = payload
            self._woken.set()
