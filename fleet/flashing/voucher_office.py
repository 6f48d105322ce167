"""Where a laptop gets its vouchers from, and tells what became of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fleet.flashing.vouchers import USED, Fleet, Voucher, VoucherFile
from fleet.identity import client, vouchers
from fleet.identity.vouchers import Made

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from fleet.settings import Settings


class Told(NamedTuple):
    """What the fleet says of one that was used: the node's state, or why it is refused."""

    claim_id: str
    node_id: str
    state: str
    refusal: str


class Office(Protocol):
    """A fleet, as a laptop speaks to it; `person` is whom it knows the laptop's holder by."""

    person: str

    def fleet(self) -> Fleet:
        """What a node must know of it."""
        ...

    def issue(self, area: str, node_type: str, requests: Sequence[bytes], days: int) -> list[Made]:
        """A voucher for each request, all or none."""
        ...

    def announce(self, claim_id: str, node_id: str) -> Told:
        """Tell one that was used."""
        ...


def pull(
    office: Office, file: VoucherFile, count: int, area: str, node_type: str, days: int
) -> list[Voucher]:
    """Make `count` keys, have them made vouchers, and keep them in `file`."""
    ids = [vouchers.draw_id() for _ in range(count)]
    keys = {one: client.make_claim_key_and_csr(one) for one in ids}
    made = office.issue(area, node_type, [request for _, request in keys.values()], days)
    added = [
        Voucher(
            one.claim_id, office.person, area, node_type, one.not_after_us // 1_000_000,
            one.certificate, keys[one.claim_id][0], one.kid, one.secret,
        )
        for one in made
    ]  # fmt: skip
    file.add(office.fleet(), added)
    return added


def push(office: Office, file: VoucherFile) -> list[Told]:
    """Tell all that were used. Once that is durable the caller removes them from `file`."""
    return [office.announce(one.claim_id, one.node_id) for one in file.all() if one.state == USED]


class Here:
    """The fleet whose data folder is on this machine, in the caller's transaction."""

    def __init__(self, session: "Session", settings: "Settings", person: str) -> None:
        self.person = person
        self._session = session
        self._settings = settings

    def fleet(self) -> Fleet:
        """By what runs now, else by the settings."""
        import json

        from fleet.identity.authority import Authority

        chosen = self._settings
        try:
            run = json.loads(chosen.run_file.read_text())
        except (OSError, ValueError):
            run = {}
        host, port = chosen.external or (chosen.broker_names[0], chosen.broker_port)
        return Fleet(
            ca=Authority.load(chosen.pki).root_der,
            host=run.get("broker_host", host),
            port=run.get("broker_port", port),
            coap_host=run.get("coap_host", chosen.coap_host),
            coap_port=run.get("coap_port", chosen.coap_port or 5683),
        )

    def issue(self, area: str, node_type: str, requests: Sequence[bytes], days: int) -> list[Made]:
        """By the operations."""
        from fleet.identity.authority import Authority
        from fleet.identity.wrapping import open_wrapper
        from fleet.registry import operations as registry

        registry.check_area(self._session, area)
        return vouchers.issue(
            self._session, Authority.load(self._settings.pki), open_wrapper(self._settings),
            self.person, area, node_type, registry.check_role(node_type), requests, days,
        )  # fmt: skip

    def announce(self, claim_id: str, node_id: str) -> Told:
        """By the operations; a refusal leaves the others as they are."""
        from fleet.identity import claims
        from fleet.identity.errors import IdentityError
        from fleet.registry.operations import RegistryError

        try:
            with self._session.begin_nested():
                state = claims.announce(self._session, self.person, claim_id, node_id)
        except (IdentityError, RegistryError) as e:
            return Told(claim_id, node_id, "", str(e))
        return Told(claim_id, node_id, state, "")
