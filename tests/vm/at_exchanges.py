"""Recorded exchanges through each family's parser, however their bytes are cut or joined.

On the VM: `micropython at_exchanges.py FIRMWARE IN OUT`. IN: JSON object, family -> its recorded
lines as [request, reply] in Latin-1. OUT: for each the items of every reply, and the requests
whose reply gave others when it was cut in two, came byte by byte, or came joined to the next.
"""

import json
import sys


class Silent:
    """The stream of a driver that only parses."""

    def write(self, data):
        pass

    async def drain(self):
        pass

    async def readinto(self, buffer):
        raise OSError


def parser(family):
    """(feed, items): what the driver's framing makes of the bytes that are fed.

    An item is ">" for a prompt, else [line, payload in hex or None]. A prompt is always awaited.
    """
    from node.link.modems import open_modem

    framing = open_modem(family, Silent()).at._framing
    items = []

    def on_line(line, payload):
        items.append([line, None if payload is None else payload.hex()])

    def on_prompt():
        items.append(">")
        framing.armed = True

    framing._on_line = on_line
    framing._on_prompt = on_prompt
    framing.armed = True
    return framing.feed, items


def items_of(family, chunks):
    """The items of chunks that come one after the other."""
    feed, items = parser(family)
    for chunk in chunks:
        feed(chunk)
    return items


def raw(text):
    """Latin-1; MicroPython's encode knows UTF-8 only."""
    return bytes([ord(c) for c in text])


def cuts_that_differ(family, reply):
    """Where a cut in two changes the items; -1 for byte by byte."""
    whole = items_of(family, [reply])
    differing = []
    for cut in range(1, len(reply)):
        if items_of(family, [reply[:cut], reply[cut:]]) != whole:
            differing.append(cut)
    if items_of(family, [reply[i : i + 1] for i in range(len(reply))]) != whole:
        differing.append(-1)
    return differing


def check(family, lines):
    """[items of each reply, requests whose reply depends on how its bytes come]."""
    found = []
    wrong = []
    for index in range(len(lines)):
        request, reply = lines[index][0], raw(lines[index][1])
        own = items_of(family, [reply])
        found.append(own)
        following = raw(lines[index + 1][1]) if index + 1 < len(lines) else b""
        joined = own + items_of(family, [following])
        if cuts_that_differ(family, reply) or items_of(family, [reply + following]) != joined:
            wrong.append(request)
    return [found, wrong]


def main(firmware, source, target):
    sys.path.insert(0, firmware)
    with open(source) as file:
        records = json.load(file)
    results = {}
    for family in records:
        results[family] = check(family, records[family])
    with open(target, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
