"""Sabotage for the thread bench: a door that takes the broker's PUBACK for a receipt."""

from node.link.door import MqttDoor as Honest
from node.wire import receipt, report


class MqttDoor(Honest):  # type: ignore[misc]
    """Delivers as the real one does, and does not wait for the fleet."""

    async def deliver(self, message: bytes, deadline_ms: int) -> bytes:
        """A receipt of its own making for all of `message`, once the broker has it."""
        await self._mqtt.publish(self._reports, message, 1, deadline_ms)
        sent = report.decode(message)
        first, last = sent.records[0].sequence, sent.records[-1].sequence
        return bytes(receipt.encode(sent.epoch, [(first, last)]))
