"""One whole contact of a driver, the same on CPython and on the VM, with what it learned.

On the VM: `micropython at_contact.py FIRMWARE IN OUT`. IN: JSON object, family -> its recorded
lines as [request, reply] in Latin-1. OUT: for each what `contact` returned.
"""

import asyncio
import json
import sys

UP = b"up: \r\nOK\r\n> AT+CSQ\r\x00\xff"
DOWN = b'\r\nOK\r\n> +QIURC: "recv",0,9,\r\nERROR\r\n+CME ERROR: 3\r\nSEND OK\r\n\x00\xff'
QUESTION = b"datagram \r\nOK\r\n>"
ANSWER = b"\r\nOK\r\n\r\n+CADATAIND: 0\r\nERROR\r\n> "


async def contact(modem):
    """Wake, identity, attach, time, signal, PSM, eDRX, TCP both ways, UDP both ways, sleep."""
    told = {}
    await modem.wake()
    told["identity"] = await modem.identity()
    await modem.attach("iot.example", 180_000)
    told["time"] = await modem.network_time()
    told["signal"] = await modem.signal()
    told["psm"] = await modem.power_saving(36_000, 60)
    told["edrx"] = await modem.edrx(81_920)
    socket = await modem.connect("fleet.example", 8883, 60_000)
    await socket.send(UP)
    got = b""
    while len(got) < len(DOWN):
        part = await asyncio.wait_for(socket.recv(16), 30)
        if not part:
            break
        got += part
    told["tcp"] = got.hex()
    await socket.close()
    udp = await modem.datagram("fleet.example", 5683, 60_000)
    await udp.send(QUESTION, 2)
    told["udp"] = (await asyncio.wait_for(udp.recv(), 30)).hex()
    await udp.close()
    await modem.sleep()
    return told


def raw(text):
    """Latin-1; MicroPython's encode knows UTF-8 only."""
    return bytes([ord(c) for c in text])


class Replay:
    """The stream of a driver, answered from a record: each request's replies come in turn."""

    def __init__(self, lines):
        self._lines = lines
        self._used = [False] * len(lines)
        self._input = b""
        self._data = None  # index of the line whose request is the data that is awaited
        self._pending = b""
        self._arrived = asyncio.Event()
        self.strange = []
        self._unasked(0)

    def write(self, data):
        self._input += bytes(data)
        while self._input:
            if self._data is not None:
                wanted = raw(self._lines[self._data][0])
                if len(self._input) < len(wanted):
                    return
                if self._input[: len(wanted)] != wanted:
                    self.strange.append(repr(self._input))
                self._input = self._input[len(wanted) :]
                index = self._data
                self._data = None
                self._say(index)
                continue
            end = self._input.find(b"\r")
            if end < 0:
                return
            command = self._input[:end].decode("latin-1")
            self._input = self._input[end + 1 :]
            if command:
                self._answer(command)

    async def drain(self):
        pass

    async def readinto(self, buffer):
        while not self._pending:
            self._arrived.clear()
            await self._arrived.wait()
        n = min(len(buffer), len(self._pending))
        buffer[:n] = self._pending[:n]
        self._pending = self._pending[n:]
        return n

    def _answer(self, command):
        last = None
        for index in range(len(self._lines)):
            if self._lines[index][0] == command:
                last = index
                if not self._used[index]:
                    break
        if last is None:
            self.strange.append(command)
            self._push("\r\nERROR\r\n")
        else:
            self._used[last] = True
            self._say(last)

    def _say(self, index):
        reply = self._lines[index][1]
        self._push(reply)
        if reply.strip().endswith(">"):
            self._data = index + 1
        self._unasked(index + 1)

    def _unasked(self, index):
        while index < len(self._lines) and self._lines[index][0] is None:
            self._push(self._lines[index][1])
            index += 1

    def _push(self, text):
        self._pending += raw(text)
        self._arrived.set()


async def play(family, lines):
    """[what the contact learned, requests that the record does not have]."""
    from node.link.modems import open_modem

    stream = Replay(lines)
    modem = open_modem(family, stream)
    try:
        return [await contact(modem), stream.strange]
    finally:
        modem.at.stop()


def main(firmware, source, target):
    sys.path.insert(0, firmware)
    with open(source) as file:
        records = json.load(file)
    results = {}
    for family in records:
        results[family] = asyncio.run(play(family, records[family]))
    with open(target, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
