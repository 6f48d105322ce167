"""From messages to bytes on the network, by webhook or mail."""

import json
import time
from pathlib import Path

from fleet import texts
from fleet.alarms import channels, mail, webhook
from fleet.alarms.delivery import DeliveryError
from fleet.alarms.messages import Told, document
from fleet.alarms.wording import moment
from fleet.identity.errors import IdentityError
from fleet.identity.wrapping import Wrapper
from fleet.settings import Mail, Settings


class Transport:
    """Delivers; DeliveryError when it was not taken. Threads may share it."""

    def __init__(self, wrapper: Wrapper, server: Mail | None, ca: Path | None) -> None:
        self._wrapper = wrapper
        self._server = server
        self._ca = ca

    @classmethod
    def of(cls, settings: Settings, wrapper: Wrapper) -> "Transport":
        """By the settings of a fleet."""
        return cls(wrapper, settings.mail, settings.webhook_ca)

    def deliver(self, group: list[Told]) -> None:
        """Messages of one channel: one mail with all of them, or one POST for each."""
        if group[0].kind == channels.MAIL:
            self._mail(group)
        else:
            for each in group:
                self._post(each)

    def _post(self, each: Told) -> None:
        try:
            secret = self._wrapper.unwrap(each.secret or b"", channels.context(each.channel))
        except IdentityError as e:
            raise DeliveryError(str(e)) from None
        body = json.dumps(document(each), ensure_ascii=False).encode()
        webhook.post(each.target, secret, each.delivery, body, int(time.time()), self._ca)

    def _mail(self, group: list[Told]) -> None:
        if self._server is None:
            raise DeliveryError("kapok.toml has no [mail]: which server takes it is not known")
        first = group[0]
        lines = [
            mail.Line(
                texts.say(f"severity.{each.alarm.severity}", each.lang), each.what,
                " ".join(each.texts[each.lang].split()), moment(each.alarm.first_us),
                each.alarm.id,
            )
            for each in group
        ]  # fmt: skip
        mail.send(
            self._server,
            mail.compose(
                self._server, first.target, first.lang, first.delivery, lines, time.time()
            ),
        )
