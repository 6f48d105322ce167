"""The first contact of a node provisioned without a network: its voucher buys an identity.

Loaded only while NVS holds a voucher. NVS gets the certificate last of all: until then every boot
claims again, which is answered by the same grant; from then on the node is an ordinary one, and
what is left of the voucher is erased.
"""

import esp32
from micropython import const

from node import config
from node.errors import ConfigError, LinkError
from node.wire import cbor
from node.wire import claim as wire

_LONGEST = const(1024)  # bytes of a blob
# What goes with the voucher, the mark that there is one last. The spare key's request stays.
_GONE = ("vkey", "vcert", "vosc", "csr", "vid")


class ClaimRefused(LinkError):
    """The fleet refuses the voucher; `cause` is its reason (node.wire.claim)."""

    code = 22


def standing(claim_id: str) -> "str | None":
    """`claim_id` while the node has no certificate, else None: then the voucher is erased."""
    nvs = esp32.NVS(config.NAMESPACE)
    if not _get(nvs, "cert"):
        return claim_id
    _erase(nvs)
    return None


async def redeem(link, values: dict) -> None:
    """Claim through `link` (Session), whose `voucher` is set, and keep the grant.

    LinkError: no grant was given; ClaimRefused has the fleet's reason. ConfigError: NVS lacks the
    request, or does not keep the grant; the same claim is made again at the next contact.
    """
    nvs = esp32.NVS(config.NAMESPACE)
    csr = _get(nvs, "csr")
    if not csr:
        raise ConfigError("NVS has a voucher and no 'csr': provision the node")
    claim = wire.encode(values["node"], values["role"], csr, _get(nvs, "csr2"))
    door = await link.door()
    answer = await door.claim(claim, door.RECEIPT_MS)
    try:
        grant = wire.decode_grant(answer)
    except wire.ClaimError as e:
        raise LinkError("no grant: %s" % e)
    if grant.reason:
        raise ClaimRefused("the fleet refuses the voucher", grant.reason)
    try:
        _keep(nvs, grant)
    except OSError as e:
        raise ConfigError("NVS does not keep the grant: %s" % e)


def _keep(nvs, grant) -> None:
    nvs.set_blob("hmac", grant.hmac)
    nvs.set_blob("oscore", cbor.encode(grant.oscore))
    nvs.commit()
    if grant.patch:
        from node import configure

        # What it refuses of it stays away: an identity without it is worth more than none.
        configure.patch(nvs, cbor.encode(grant.patch), 0)
    nvs.set_blob("cert", grant.certificate)
    nvs.commit()  # the commit point: from here on it is an ordinary node
    _erase(nvs)


def _erase(nvs) -> None:
    names = list(_GONE)
    try:
        key = cbor.decode(_get(nvs, "vosc"))
        if config.is_key(key):
            names.insert(0, "q" + key[0].hex())  # type: ignore[index]  its sequence, see Numbers
    except cbor.CborError:
        pass  # erased before, when the power failed
    for name in names:
        try:
            nvs.erase_key(name)
        except OSError:
            pass  # there is none
    nvs.commit()


def _get(nvs, name: str) -> bytes:
    # b"" where there is none.
    buffer = bytearray(_LONGEST)
    try:
        return bytes(memoryview(buffer)[: nvs.get_blob(name, buffer)])
    except OSError:
        return b""
