"""One board where no network is: it gets keys of its own and a voucher instead of an identity."""

from collections.abc import Callable
from datetime import UTC, datetime

from fleet.flashing import carry, hardware, held, identity, node_config, nvs, offline
from fleet.flashing.provision import ALREADY, PARTITION, BoardLink, Done, Order, write_nvs
from fleet.flashing.vouchers import USED, VoucherFile
from fleet.identity.secret import SecretBytes
from fleet.wire import cbor

VOUCHED = "waits for its first contact"
# What the board counts on with: the register of a gas meter, and the items that it has handled.
_NUMBERS = ("pulses", "down")


def provision_offline(
    name: str, link: BoardLink, file: VoucherFile, order: Order, say: Callable[[str], None]
) -> Done:
    """Write a voucher onto the board on the port `name`; FlashError or VoucherError say why not.

    A board that has its identity, or a voucher of this laptop already, is left alone. Cut at any
    point, the same call goes on with the same voucher.
    """
    say("identify")
    board = link.identify()
    wanted = hardware.load_board(order.node_type.board)
    identity.check_board(name, board, wanted.chip, wanted.flash_bytes)
    identity.check_writable(name, board, [PARTITION])
    say("read")
    raw = link.read_partition(PARTITION)
    found = held.read(raw, board.node_id)
    ours = found.values.get(held.NAMESPACE, {})
    if held.has_identity(found.values, board.node_id) or _was_done(
        file, board.mac, ours.get("vid")
    ):
        carry.forget(board.mac)
        return _done(ALREADY, board.node_id, "")
    say("take a voucher")
    kept = {**carry.load(board.mac), **carry.of(ours)}
    area = file.take(board.mac, order.node_type.name).area
    prepared = offline.prepare(
        file, board.mac, order.node_type.name, _configuration(order, board.node_id, file, area)
    )
    carry.save(board.mac, kept)
    image = _image(found.values, kept, prepared, len(raw))
    write_nvs(name, link, image, say)
    offline.finish(file, prepared)
    carry.forget(board.mac)
    return _done(VOUCHED, board.node_id, prepared.claim_id)


def _was_done(file: VoucherFile, mac: bytes, vid: object) -> bool:
    return any(
        one.state == USED and one.mac == mac.hex() and one.claim_id.encode() == vid
        for one in file.all()
    )


def _configuration(order: Order, node_id: str, file: VoucherFile, area: str) -> dict[str, object]:
    fleet = file.fleet()
    doors = {"mqtt": (fleet.host, fleet.port), "coap": (fleet.coap_host, fleet.coap_port)}
    there = {door: where for door, where in doors.items() if where[1]}
    raw = node_config.compose(
        order.node_type,
        node_id,
        there,
        layers=(fleet.defaults.get(area, {}), order.values),
        door=order.door,
    )
    whole = cbor.decode(raw)
    if not isinstance(whole, dict):
        raise TypeError("a configuration is a map")
    return {str(key): value for key, value in whole.items()}


def _image(
    values: held.Values, kept: carry.Kept, prepared: offline.Prepared, size: int
) -> SecretBytes:
    """The whole NVS partition, the claim id last: a write that is cut leaves no half a voucher."""
    numbers = {name: kept[name] for name in _NUMBERS if name in kept}
    spaces: held.Values = {held.NAMESPACE: {**numbers, **prepared.values[held.NAMESPACE]}}
    spaces |= {space: dict(keys) for space, keys in values.items() if space != held.NAMESPACE}
    return SecretBytes(nvs.encode(spaces, size))


def _done(result: str, node_id: str, claim_id: str) -> Done:
    # The laptop's clock: the fleet is not there to be asked.
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    return Done(result, node_id, claim_id, "", "", now)
