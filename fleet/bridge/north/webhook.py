"""Readings as JSON to somebody's URL, signed like alarms: `Kapok-Signature` says by whom and when.

A message has an `id` that stays the same whenever it is repeated, so that its receiver stores it
once.
"""

import json
import time
from collections.abc import Mapping
from fractions import Fraction

from fleet.alarms import webhook
from fleet.alarms.errors import ChannelError
from fleet.bridge import units
from fleet.bridge.north.outbox import Out
from fleet.bridge.north.targets import Target
from fleet.bridge.times import iso_text
from fleet.telemetry.operations import QUALITIES, quantity_name

AT_ONCE = 100
_LEAST = 16  # characters of a secret


class HookPlatform:
    """Sends several messages in one POST."""

    def __init__(self, target: Target) -> None:
        table = target.platform
        self._name = target.name
        self._words = {word.quantity: word for word in target.words}
        self._url = table.text("url")
        try:
            webhook.check_url(self._url)
        except ChannelError as e:
            raise table.fault("url", str(e)) from None
        self._secret = table.secret("secret").encode()
        if len(self._secret) < _LEAST:
            raise table.fault("secret", f"secret_file, a text of {_LEAST} characters at least")
        self._ca = table.file("ca_file") if "ca_file" in table else None
        table.end()

    def deliver(self, messages: list[Out], numbers: Mapping[int, str]) -> None:
        """Return when it is answered by 2xx; DeliveryError."""
        told = [self._told(message, numbers) for message in messages]
        body = json.dumps({"target": self._name, "messages": told}, ensure_ascii=False).encode()
        delivery = f"{self._name}-{messages[0].id}-{messages[-1].id}"
        webhook.post(self._url, self._secret, delivery, body, int(time.time()), self._ca)

    def close(self) -> None:
        """Nothing stays open."""

    def _told(self, message: Out, numbers: Mapping[int, str]) -> dict[str, object]:
        values = []
        for quantity, value, quality in message.values:
            word = self._words.get(quantity)
            try:
                unit, decimals = units.of_quantity(quantity)
            except KeyError:  # of a firmware that is newer than this fleet
                unit, decimals = "", 0
            factor, name = Fraction(1), quantity_name(quantity)
            if word is not None:
                factor, decimals, name = word.factor, word.decimals, word.key or name
                unit = word.unit
            number = units.told(value, quantity, factor, decimals)
            values.append(
                {
                    "quantity": name, "value": format(number, "f"), "unit": unit,
                    "quality": QUALITIES[quality],
                }
            )  # fmt: skip
        made: dict[str, object] = {"id": message.id, "asset": message.asset_id}
        if numbers.get(message.asset_id):
            made["number"] = numbers[message.asset_id]
        return {**made, "time": iso_text(message.time_us), "values": values}
