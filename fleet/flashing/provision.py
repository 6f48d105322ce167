"""One board from whatever it is to exactly one identity: look, claim, write, verify, confirm.

Cut at any point and run again, it ends the same: what the board holds is compared with what the
fleet knows, and the private keys are only ever in this process and on the board.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.flashing import carry, hardware, held, identity, node_config, nvs
from fleet.flashing.errors import FlashError, NotVerified
from fleet.flashing.identity import Identity
from fleet.identity.client import make_key_and_csr
from fleet.identity.secret import SecretBytes

PARTITION = "nvs"
PROVISIONED, CONFIRMED, ALREADY = "provisioned", "confirmed", "already provisioned"
KEEP_IDENTITY, KEEP_HISTORY, NEW = "keep-identity", "keep-history", "new"
# Credentials of every kind: none of an earlier identity stays on a board.
_CREDENTIALS = (
    "cfg", "key", "cert", "ca", "oscore", "key2", "csr2", "hmac", "trust", "pair",
    "vcert", "vkey", "vosc", "vid", "csr",
)  # fmt: skip


class NeedsPolicy(FlashError):
    """The board is registered, and nobody can be asked what is to be of it."""


class BoardLink(Protocol):
    """A board in its loader. Raises the classes of fleet/flashing/errors.py."""

    def identify(self) -> Identity:
        """Chip, MAC and what its eFuses forbid."""
        ...

    def read_partition(self, label: str) -> bytes:
        """All bytes of a partition of the board's own table."""
        ...

    def write_partition(self, label: str, data: bytes) -> None:
        """Write to it from its start, verified by the chip's digest."""
        ...


class Fleet(Protocol):
    """The enrolment API, as fleet/enrol/client.py calls it; IdentityError says no."""

    def look(self, node_id: str, node_type: str, holds: dict[str, str]) -> dict[str, Any]:
        """What the board is to the fleet."""
        ...

    def claim(self, asked: dict[str, str]) -> dict[str, Any]:
        """Everything that a board gets."""
        ...

    def confirm(self, node_id: str, serial: str) -> dict[str, Any]:
        """The board holds what was claimed."""
        ...


class Order(NamedTuple):
    """What every board of a run gets. `policy` empty: `ask(node id)` decides where it must.

    `values`: configuration that wins over the type's and the area's; `door` empty: by the modem.
    """

    node_type: hardware.NodeType
    ask: Callable[[str], str]
    area: str = ""
    policy: str = ""
    door: str = ""
    values: Mapping[str, Any] = {}


class Done(NamedTuple):
    """How it ended. `policy` is "" where nothing was decided; `at_us` by the fleet's clock."""

    result: str
    node_id: str
    serial: str
    policy: str
    area: str
    at_us: int


def provision_board(
    name: str, link: BoardLink, fleet: Fleet, order: Order, say: Callable[[str], None]
) -> Done:
    """Provision the board on the port `name`; FlashError or IdentityError say why not.

    `say` is told each step as it begins.
    """
    say("identify")
    board = link.identify()
    wanted = hardware.load_board(order.node_type.board)
    identity.check_board(name, board, wanted.chip, wanted.flash_bytes)
    identity.check_writable(name, board, [PARTITION])
    node_id, kind = board.node_id, order.node_type.name
    say("read")
    raw = link.read_partition(PARTITION)
    found = held.read(raw, node_id)
    say("ask the fleet")
    seen = fleet.look(node_id, kind, found.digests)
    if seen["state"] == "live":
        carry.forget(board.mac)
        at = int(seen["now_us"])
        return Done(ALREADY, node_id, str(seen["serial"]), "", str(seen["area"]), at)
    if seen["state"] == "pending":
        say("confirm")
        answer = fleet.confirm(node_id, str(seen["serial"]))
        carry.forget(board.mac)
        return _done(CONFIRMED, node_id, seen, answer)
    policy = order.policy
    if seen["state"] == "registered" and not policy and seen["policy"] == "ask":
        policy = order.ask(node_id)
    say("claim")
    key, csr = make_key_and_csr(node_id)
    spare, spare_csr = make_key_and_csr(node_id)
    claimed = fleet.claim(
        {
            "node": node_id, "type": kind, "csr": csr.decode(), "spare_csr": spare_csr.decode(),
            "area": order.area, "policy": policy,
        }
    )  # fmt: skip
    # What the board has is newer than what a run that was cut kept of it.
    kept = {**carry.load(board.mac), **carry.of(found.values.get(held.NAMESPACE, {}))}
    image = _image(order, node_id, found, kept, claimed, key, spare, spare_csr, len(raw))
    carry.save(board.mac, kept)
    write_nvs(name, link, image, say)
    say("confirm")
    answer = fleet.confirm(node_id, str(claimed["serial"]))
    carry.forget(board.mac)
    return _done(PROVISIONED, node_id, claimed, answer)


def _done(result: str, node_id: str, of: Mapping[str, Any], answer: Mapping[str, Any]) -> Done:
    serial, area = str(of["serial"]), str(of["area"])
    return Done(result, node_id, serial, str(answer["policy"]), area, int(answer["now_us"]))


def write_nvs(name: str, link: BoardLink, image: bytes, say: Callable[[str], None]) -> None:
    """Write the partition and read it back; NotVerified where that is something else."""
    say("write")
    link.write_partition(PARTITION, image)
    say("verify")
    if link.read_partition(PARTITION) != image:
        raise NotVerified(f"{name}: the NVS reads back as something else: run again")


def _image(
    order: Order,
    node_id: str,
    found: held.Held,
    kept: carry.Kept,
    claimed: Mapping[str, Any],
    key: SecretBytes,
    spare: SecretBytes,
    spare_csr: bytes,
    size: int,
) -> SecretBytes:
    """The whole NVS partition: what goes on, and the new credentials, certificate last.

    Last, since a write that is cut ends with the beginning: a board with a certificate has all.
    """
    policy = claimed["policy"]
    spaces: held.Values = {}
    if policy in (KEEP_IDENTITY, KEEP_HISTORY):
        spaces = {space: dict(keys) for space, keys in found.values.items()}
    ours = spaces.pop(held.NAMESPACE, {})
    # A number that was used with another OSCORE key says nothing of the new one.
    others = {k: v for k, v in ours.items() if k not in _CREDENTIALS and k[:1] != "q"}
    numbers = {name: kept[name] for name in carry.NUMBERS if name in kept}
    if policy == KEEP_IDENTITY:
        told = dict(zip(("down", "cfgn", "refn"), claimed["downlinks"], strict=True))
        numbers = {name: value for name, value in told.items() if value} | numbers
    elif policy == KEEP_HISTORY:
        # The configuration is the type's again, and the node handles no old item twice.
        handled = numbers.get("down", claimed["downlinks"][0])
        numbers = {k: v for k, v in numbers.items() if k == "pulses"} | {"down": handled}
    else:
        others, numbers = {}, {"down": claimed["downlinks"][0]} if policy == NEW else {}
    own = held.configuration_of(kept) if policy == KEEP_IDENTITY else {}
    if own.get("node") != node_id:
        own = {}
    cfg = node_config.compose(
        order.node_type,
        node_id,
        claimed["doors"],
        layers=(claimed["defaults"], own or claimed["configuration"], order.values),
        door=order.door,
    )
    credentials = {name: _bytes(der) for name, der in claimed["keys"].items()}
    csr_der = x509.load_pem_x509_csr(spare_csr).public_bytes(Encoding.DER)
    spaces = {
        held.NAMESPACE: {
            **others, **numbers, "cfg": cfg, **credentials, "key2": bytes(spare),
            "csr2": csr_der, "hmac": _bytes(claimed["hmac"]), "oscore": _bytes(claimed["oscore"]),
            "ca": _bytes(claimed["ca"]), "key": bytes(key), "cert": _bytes(claimed["certificate"]),
        },
        **spaces,
    }  # fmt: skip
    return SecretBytes(nvs.encode(spaces, size))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
