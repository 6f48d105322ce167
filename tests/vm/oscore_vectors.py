"""RFC 8613, appendix C: whether the firmware makes and takes every vector. Runs on both
interpreters; on the VM: `micropython oscore_vectors.py FIRMWARE VECTORS`, one line of JSON.
"""

import json
import sys

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from node.link import oscore
from node.link.oscore_server import Server

URI_HOST, OSCORE = 3, 9


def octets(text: "str | None") -> "bytes | None":
    return None if text is None else bytes.fromhex(text)


def parts(message):
    """A CoAP message (RFC 7252, 3): header and token, [(option, value)], payload or None."""
    at = 4 + (message[0] & 15)
    head, options, number = message[:at], [], 0
    while at < len(message) and message[at] != 0xFF:
        delta, size = message[at] >> 4, message[at] & 15
        assert delta < 13 > size, "no vector has extended deltas or lengths"
        number += delta
        options.append((number, message[at + 1 : at + 1 + size]))
        at += 1 + size
    return head, options, message[at + 1 :] if at < len(message) else None


def whole(head, options, payload):
    """parts() put together."""
    out, last = head, 0
    for number, value in sorted(options):
        out += bytes(((number - last) << 4 | len(value),)) + value
        last = number
    return out if payload is None else out + b"\xff" + payload


def plaintext(message):
    """RFC 8613, 5.3: code, options of class E, payload."""
    head, options, payload = parts(message)
    return whole(head[1:2], [o for o in options if o[0] != URI_HOST], payload)


def wrapped(message, code, option, cipher):
    """The OSCORE message that carries `message` (4.2): `code` and options of class U outside."""
    head, options, _ = parts(message)
    outer = [o for o in options if o[0] == URI_HOST] + [(OSCORE, option)]
    return whole(head[:1] + bytes((code,)) + head[2:], outer, cipher)


def unwrapped(message):
    """Value of the OSCORE option and payload of an OSCORE message."""
    _, options, payload = parts(message)
    return dict(options)[OSCORE], payload


class Check:
    """Counts what agrees and keeps what does not."""

    def __init__(self, vectors: "dict[str, list[dict[str, str]]]") -> None:
        self.vectors = vectors
        self.checked = 0
        self.bad = []
        self._rows = {
            row["name"]: row for kind in ("derivations", "requests") for row in vectors[kind]
        }

    def same(self, row, field, got):
        self.checked += 1
        if got != octets(row[field]):
            self.bad.append([row["name"], field, got if got is None else got.hex(), row[field]])

    def context(self, kind, name, number):
        row = self._rows[name]
        ids = [octets(row[field]) for field in ("master_secret", "sender_id", "recipient_id")]
        salt, id_context = octets(row["master_salt"]), octets(row["id_context"])
        return kind(*ids, lambda: number, salt=salt, id_context=id_context)

    def derivation(self, row):
        made = self.context(oscore.Context, row["name"], 0)
        id_context = octets(row["id_context"])
        for field, identifier in (("sender", made.sender), ("recipient", made.recipient)):
            self.same(
                row, "info_" + field + "_key", oscore.info(identifier, id_context, "Key", 16)
            )
            self.same(row, field + "_nonce", made.nonce((identifier, b"\0")))
        self.same(row, "info_common_iv", oscore.info(b"", id_context, "IV", 13))
        self.same(row, "sender_key", made.sender_key)
        self.same(row, "recipient_key", made.recipient_key)
        self.same(row, "common_iv", made.common_iv)

    def request(self, row):
        client = self.context(oscore.Context, row["client"], row["number"])
        server = self.context(Server, row["server"], 0)
        message = octets(row["unprotected"])
        self.same(row, "plaintext", plaintext(message))
        option, cipher, request = client.seal(plaintext(message))
        self.protected(row, 0x02, option, cipher)
        self.bound(row, client, request, request)
        piv, kid_context, kid = oscore.parse(option)
        self.same(row, "partial_iv", piv)
        self.same(row, "kid_context", kid_context)
        self.same(row, "kid", kid)
        taken, plain = server.open_request(*unwrapped(octets(row["protected"])))
        self.same(row, "plaintext", plain)
        assert taken == request
        self.bound(row, server, taken, taken)
        return client, server, request

    def response(self, row):
        asked = self._rows[row["request"]]
        client, server, request = self.request(asked)
        own = row["number"] is not None
        option, cipher = server.seal_response(request, plaintext(octets(row["unprotected"])), own)
        self.protected(row, 0x44, option, cipher)
        piv = oscore.parse(option)[0]
        self.same(row, "partial_iv", piv)
        self.bound(row, server, request, (server.sender, piv) if own else request)
        plain = client.open(request, *unwrapped(octets(row["protected"])))
        self.same(row, "plaintext", plain)

    def protected(self, row, code, option, cipher):
        self.same(row, "option", option)
        self.same(row, "ciphertext", cipher)
        self.same(row, "protected", wrapped(octets(row["unprotected"]), code, option, cipher))

    def bound(self, row, made, request, origin):
        """Additional data, nonce, and that the key is the sender's."""
        aad = oscore.aad(request)
        self.same(row, "aad", aad)
        self.same(row, "aad_array", aad[-(aad[11] & 31) :])  # a byte string of under 24 bytes
        self.same(row, "nonce", made.nonce(origin))
        ours = made.sender_key if made.sender_key == octets(row["key"]) else made.recipient_key
        self.same(row, "key", ours)

    def run(self) -> "dict[str, object]":
        for row in self.vectors["derivations"]:
            self.derivation(row)
        for row in self.vectors["requests"]:
            self.request(row)
        for row in self.vectors["responses"]:
            self.response(row)
        return {"checked": self.checked, "bad": self.bad}


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        print(json.dumps(Check(json.load(file)).run()))
