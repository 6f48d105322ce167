"""Provisioning without a network: what a board's NVS gets when a voucher stands in for a fleet."""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.flashing.vouchers import Voucher, VoucherFile
from fleet.identity.client import make_key_and_csr
from fleet.wire import cbor, nodeid

NAMESPACE = "kapok"  # of NVS, as in firmware/node/config.py


class Prepared(NamedTuple):
    """What to write to NVS, by namespace and key, for which node, and the voucher that it has."""

    node_id: str
    claim_id: str
    values: dict[str, dict[str, int | bytes]]


def prepare(file: VoucherFile, mac: bytes, node_type: str, config: Mapping[str, Any]) -> Prepared:
    """Take a voucher for the board `mac`, make the node's keys, and give what its NVS gets.

    `config` has role, modem, pins and all that is of the node's type; the node id, and host and
    port of the door that it names, are added. The node's keys exist in memory only, so a board
    that was cut gets new ones, with the voucher that it had. Call `finish` once the board is
    verified. VoucherError: none is left, or the file cannot be used.
    """
    voucher = file.take(mac, node_type)
    fleet = file.fleet()
    node_id = nodeid.from_mac(mac)
    by_coap = config.get("door") == "coap"
    whole = {
        **config,
        "node": node_id,
        "host": fleet.coap_host if by_coap else fleet.host,
        "port": fleet.coap_port if by_coap else fleet.port,
    }
    values: dict[str, int | bytes] = {"cfg": cbor.encode(whole), "ca": fleet.ca}
    values |= {name: base64.b64decode(key) for name, key in fleet.keys.items()}
    for key, request in (("key", "csr"), ("key2", "csr2")):
        secret, pem = make_key_and_csr(node_id)
        values[key] = bytes(secret)
        values[request] = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    values |= claim_values(voucher)
    return Prepared(node_id, voucher.claim_id, {NAMESPACE: values})


def claim_values(voucher: Voucher) -> dict[str, int | bytes]:
    """The voucher's own part of NVS; the node erases it when it has its certificate."""
    return {
        "vkey": voucher.key,
        "vcert": voucher.certificate,
        "vosc": cbor.encode([voucher.kid, voucher.secret]),
        "vid": voucher.claim_id.encode(),  # last: with it the node claims
    }


def finish(file: VoucherFile, prepared: Prepared) -> None:
    """The board is written and verified: the laptop forgets the voucher's keys."""
    file.used(prepared.claim_id)
