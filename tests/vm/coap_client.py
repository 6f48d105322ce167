"""The node's CoAP door over the VM's own UDP: does a list of steps, and tells them in JSON.

`micropython coap_client.py FIRMWARE CONFIG`; CONFIG is a file of JSON: port, kid, secret, most
(bytes of a datagram) and steps, [name, arguments in hex or numbers].
"""

import asyncio
import json
import socket
import sys

sys.path.insert(0, sys.argv[1])


class Nvs:
    """NVS in memory."""

    def __init__(self):
        self.values = {}

    def get_i32(self, key):
        if key not in self.values:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        return self.values[key]

    def set_i32(self, key, value):
        self.values[key] = value

    def commit(self):
        pass


class Board:
    """`esp32`, as far as the door needs it."""

    nvs = Nvs()

    @classmethod
    def NVS(cls, _namespace):
        return cls.nvs


sys.modules["esp32"] = Board

from node.errors import NodeError  # noqa: E402  # the VM has no esp32
from node.link import coap_door  # noqa: E402
from node.store.rtcstate import RtcState  # noqa: E402

WAIT_MS = 20000


class Udp:
    """A Datagram of the modem's, by polling: the VM's asyncio has streams only."""

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
        self._socket.setblocking(False)
        self.sizes = []

    async def send(self, buf, release=0):
        self.sizes.append(len(buf))
        self._socket.send(buf)

    async def recv(self):
        while True:
            try:
                data = self._socket.recv(2048)
            except OSError:
                data = None
            if data is not None:
                return data
            await asyncio.sleep_ms(2)

    async def close(self):
        self._socket.close()


class Modem:
    def __init__(self, port, most):
        self._port = port
        self.MAX_DATAGRAM = most
        self.sizes = []

    async def datagram(self, _host, _port, _deadline_ms):
        made = Udp(self._port)
        made.sizes = self.sizes
        return made


async def step(door, name, arguments):
    """Bytes that the door gave, as hex, or what it raised."""
    try:
        if name == "deliver":
            report, whole = [bytes.fromhex(text) for text in arguments]
            got = await door.deliver(report, whole, WAIT_MS, False)
        elif name == "poll":
            got = await door.poll(WAIT_MS)
        else:
            got = await door.fetch(arguments[0], arguments[1], WAIT_MS)
    except NodeError as e:
        return {"error": type(e).__name__, "cause": e.cause, "text": str(e)}
    return got.hex()


async def main(config):
    memory = [b""]

    def rtc(data=None):
        if data is not None:
            memory[0] = data
        return memory[0]

    state = RtcState(rtc)
    state.load()
    modem = Modem(config["port"], config["most"])
    key = [bytes.fromhex(config["kid"]), bytes.fromhex(config["secret"])]
    coap_door.ACK_MS = (500, 500, 500)  # the loopback is no NB-IoT
    door = coap_door.CoapDoor(modem, {"host": "localhost", "port": config["port"]}, key, state, 0)
    await door.open()
    told = []
    for name, *arguments in config["steps"]:
        told.append(await step(door, name, arguments))
    await door.close()
    print(json.dumps({"told": told, "sizes": modem.sizes}))


with open(sys.argv[2]) as source:
    config = json.load(source)
asyncio.run(main(config))
