"""Runs AES-CCM, HKDF, the option's parser and contexts of the firmware over cases with answers.

`micropython oscore_check.py FIRMWARE CASES`; one line of JSON: how many ran, those that differ.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

from node.errors import OscoreError
from node.link import ccm, hkdf, oscore


def hexed(value):
    return None if value is None else value.hex()


def octets(text):
    return None if text is None else bytes.fromhex(text)


def refused(call, *arguments):
    try:
        call(*arguments)
    except OscoreError:
        return True
    return False


def check_ccm(key, nonce, aad, plain, sealed, at, bit):
    """Sealed and opened; with one bit flipped in the ciphertext, refused."""
    key, nonce, aad, plain = [octets(text) for text in (key, nonce, aad, plain)]
    cipher = ccm.seal(key, nonce, aad, plain)
    flipped = bytearray(cipher)
    flipped[at % len(cipher)] ^= 1 << bit
    return (
        cipher.hex() == sealed
        and ccm.open(key, nonce, aad, cipher) == plain
        and refused(ccm.open, key, nonce, aad, bytes(flipped))
        and refused(ccm.open, key, nonce, aad + b"\0", cipher)
    )


def check_hkdf(salt, secret, info, size, okm):
    key = hkdf.extract(octets(salt), octets(secret))
    return hkdf.expand(key, octets(info), size).hex() == okm


def check_parse(option, fields):
    if fields is None:
        return refused(oscore.parse, octets(option))
    return [hexed(field) for field in oscore.parse(octets(option))] == fields


def check_context(arguments, number, plain, option, cipher):
    secret, sender, recipient, salt, id_context = [octets(text) for text in arguments]
    context = oscore.Context(secret, sender, recipient, lambda: number, salt, id_context)
    made = context.seal(octets(plain))
    return [made[0].hex(), made[1].hex()] == [option, cipher]


CHECKS = {"ccm": check_ccm, "hkdf": check_hkdf, "parse": check_parse, "context": check_context}

with open(sys.argv[2]) as source:
    cases = json.load(source)
ran, differ = 0, []
for name, rows in cases.items():
    for row in rows:
        ran += 1
        if not CHECKS[name](*row):
            differ.append([name, row])
print(json.dumps({"ran": ran, "differ": differ}))
