"""Runs one scenario of the node's door and prints what came of it as one line of JSON.

`micropython -m door_client FOLDER`; tests/support/door_vm.py writes the folder.
"""

import asyncio
import binascii
import gc
import json
import sys
import time

from door_net import TcpModem
from node.errors import NodeError
from node.link import tls

FOLDER = sys.argv[1]


def load(name):
    """The bytes of one file of the folder."""
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


def sabotage(name):
    """Switch one guard off, to show that the test notices."""
    if name == "no verification":
        ssl = tls.ssl
        tls.ssl = type("ssl", (), {})
        tls.ssl.SSLContext = ssl.SSLContext
        tls.ssl.PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
        tls.ssl.CERT_REQUIRED = ssl.CERT_NONE
    elif name == "any receipt":
        from node.link import mqtt_door

        mqtt_door.receipt.covers = lambda answer, whole: True


async def shake(config, modem):
    """Handshake, then have `payload` echoed."""
    socket = await modem.connect(config["host"], config["port"], 5000)
    credentials = (load("ca"), load("cert"), load("key"))
    payload = load("payload")
    try:
        context = tls.credentials(*credentials)
        stream = tls.secure(socket, config["host"], context, config["deadline_ms"])
        try:
            await stream.write(payload)
            answer = await stream.readexactly(len(payload))
        finally:
            await stream.close()
    finally:
        await socket.close()
    return {"ok": answer == payload}


async def deliver(config, modem):
    """Open, deliver every report, close."""
    config.update({name: load(name) for name in ("ca", "cert", "key")})
    from node.link import mqtt_door

    door = mqtt_door.MqttDoor(modem, config)
    got = []
    try:
        await door.open()
        for i in range(config["reports"]):
            receipt = await door.deliver(
                load("report" + str(i)), load("whole" + str(i)), config["deadline_ms"], False
            )
            got.append(receipt.hex())
    finally:
        await door.close()
    return {"receipts": got}


async def blocks(config, modem):
    """Open by HTTPS, ask for blocks, close. What came: CRC-32 and length by index."""
    import node

    node.config = type("config", (), {})
    node.config.credentials = lambda: {name: load(name) for name in ("ca", "cert", "key")}
    from node.link import https

    config["updates"] = config["port"]
    door = https.Https(modem, config)
    came = {}

    def take(index, data):
        came[str(index)] = [binascii.crc32(data), len(data)]

    words = []
    try:
        await door.open()
        for first, hexed in config["asks"]:
            missing = binascii.unhexlify(hexed)
            words.append(
                await door.blocks(
                    config["number"], config["size"], first, missing, take, config["deadline_ms"]
                )
            )
    finally:
        await door.close()
    return {"words": words, "came": came}


async def main(config):
    sabotage(config["sabotage"])
    modem = TcpModem(config["most"], config["step"], config["fail_after"])
    run = {"shake": shake, "deliver": deliver, "blocks": blocks}[config["scenario"]]
    start = time.ticks_ms()
    try:
        result = await asyncio.wait_for_ms(run(config, modem), 20000)
    except NodeError as e:
        result = {"error": type(e).__name__, "cause": e.cause, "text": str(e)}
    except TimeoutError:
        result = {"error": "hang"}
    result["ms"] = time.ticks_diff(time.ticks_ms(), start)
    gc.collect()
    print(json.dumps(result))


asyncio.run(main(json.loads(load("config"))))
