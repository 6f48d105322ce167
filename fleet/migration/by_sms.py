"""A step as an SMS to a terminal's card, and the SMS that comes back from there."""

import asyncio
import time

from fleet.migration.plugins import Step
from fleet.migration.sending import Said
from fleet.migration.sms import MaybeSent, Modem, ModemError, is_from, with_country

_LOOK_S = 3.0


class BySms:
    """To one number. `wait_s`: for the answer to each text."""

    def __init__(self, modem: Modem, number: str, wait_s: float) -> None:
        self._modem, self._number = modem, with_country(number)
        self._wait_s = wait_s

    async def ask(self, step: Step) -> Said:
        """Nothing is raised: the modem's trouble is why there is no answer."""
        return await asyncio.to_thread(self._asked, step)

    def _asked(self, step: Step) -> Said:
        try:
            self._modem.unread()  # a late answer to the step before is none to this one
            self._modem.send(self._number, step.send)
        except MaybeSent as e:
            return Said("", str(e))
        except ModemError as e:
            return Said("", str(e), was_sent=False)
        end = time.monotonic() + self._wait_s
        while True:
            time.sleep(_LOOK_S)
            try:
                for one in self._modem.unread():
                    if is_from(one.sender, self._number):
                        self._modem.forget(one.place)
                        return Said(one.text)
            except ModemError as e:
                return Said("", f"sent, then {e}")
            if time.monotonic() >= end:
                return Said("", f"no SMS from {self._number} within {self._wait_s:.0f} s")
