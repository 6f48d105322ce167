"""How a modem takes new firmware: it fetches the package over HTTP, restarts and writes it. Only
node/update/modem_part.py needs it.

A family's FOTA is its maker's command (modems/), what it says of it is told apart here. Sources:
Quectel's DFOTA guides of EC200U, BC660K-GL and BG96; A76XX AT Command Manual V1.09, 22.2 and 22.3;
of SIM7080's two commands public drivers.
"""

import asyncio

from micropython import const

from node.errors import AtError
from node.link.modem import SHORT_MS
from node.link.replies import fields, whole

UNTOLD = const(3)  # wire/release.py, MODEM_UNCHANGED: it failed, and the modem gave no number
_START_MS = const(15_000)  # A7670's manual shows no OK: its first line comes when it has connected
_THERE = const(200)  # HTTP status; +HTTPTOFS: below it 0 is idle and 1 busy


class Fota:
    """One contact's ear. `error`: 0 once the modem has the new firmware, a number when it failed:
    the modem's own, or UNTOLD. None: neither was told.
    """

    def __init__(self, modem) -> None:
        self.error: "int | None" = None
        self._modem = modem
        self._size = 0
        self._fetched = False  # it waits for the word to write
        self._moved = asyncio.Event()
        for prefix in ('+QIND: "FOTA",', "+CFOTA:", "+HTTPTOFS:"):
            modem.at.on_urc(prefix, self._on_line)

    async def begin(self, address: str) -> None:
        """Have it fetch `address`, host:port/path; AtError where it will not."""
        text = self._modem.FOTA % address
        await self._modem.at.command(text, _START_MS, until=("OK", "+CFOTA: FOTA,START"))

    async def resume(self, size: int) -> None:
        """The host slept meanwhile: find out where it is, as far as the family tells."""
        if "HTTPTOFS" not in self._modem.FOTA:
            return
        values = fields(await self._modem.line("AT+HTTPTOFSRL?", "+HTTPTOFSRL:"))
        if values[0] == "0" and len(values) == 3:
            if whole(values[1]) == whole(values[2]) == size:
                self._fetched = True
            else:
                self.error = UNTOLD  # what was on its way is gone

    async def listen(self, deadline_ms: int) -> None:
        """Until `error` is told, or the time is over."""
        try:
            await asyncio.wait_for_ms(self._listen(), deadline_ms)
        except asyncio.TimeoutError:
            pass

    async def _listen(self) -> None:
        while self.error is None:
            if self._fetched:
                self._fetched = False
                try:
                    await self._modem.at.command("AT+CFOTA=1", SHORT_MS)
                except AtError as e:
                    self.error = e.cause or UNTOLD
                    return
            self._moved.clear()
            if self.error is None and not self._fetched:
                await self._moved.wait()

    def _on_line(self, line: str, payload) -> "bool | None":
        values = fields(line)
        code = whole(values[-1])
        if line[1] == "Q":  # "FOTA","HTTPEND",<error> and "FOTA","END",<error>
            if values[1] == "END" or (values[1] == "HTTPEND" and code):
                self.error = UNTOLD if code is None else code
        elif line[1] == "H":  # <status>,<bytes>
            status = whole(values[0])
            if status == _THERE:
                self._fetched = True
            elif status is not None and status > 1:
                self.error = status
        elif values[-1] == "START":
            return False  # the command waits for it
        elif "SUCCESS" in values[0].upper():
            self.error = 0
        elif "FAIL" in values[0].upper():
            self.error = UNTOLD
        elif len(values) == 1 and code is not None and code != 100:  # 100: it restarts in 8 s
            self.error = code
        self._moved.set()
        return None
