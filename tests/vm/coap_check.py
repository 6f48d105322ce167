"""Runs the firmware's CoAP codec over messages with their bytes, and over bytes that are none.

`micropython coap_check.py FIRMWARE CASES`; one line of JSON: how many ran, those that differ.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

from node.wire import coap

octets = bytes.fromhex


def check_round(message, raw):
    kind, code, mid, token, options, payload = message
    options = [(number, octets(value)) for number, value in options]
    wanted = (kind, code, mid, octets(token), options, octets(payload))
    return coap.encode(*wanted) == octets(raw) and coap.decode(octets(raw)) == wanted


def refused(raw):
    try:
        coap.decode(octets(raw))
    except coap.CoapFormatError:
        return True
    return False


with open(sys.argv[2]) as source:
    cases = json.load(source)
differ = [case for case in cases["round"] if not check_round(*case)]
differ += [raw for raw in cases["refused"] if not refused(raw)]
print(json.dumps({"ran": len(cases["round"]) + len(cases["refused"]), "differ": differ}))
