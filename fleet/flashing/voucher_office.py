"""Where a laptop gets its vouchers from, and tells what became of them."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from fleet.flashing.vouchers import USED, Fleet, Voucher, VoucherError, VoucherFile
from fleet.identity import client, vouchers
from fleet.identity.errors import IdentityError
from fleet.identity.secret import SecretBytes
from fleet.identity.vouchers import Made

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from fleet.enrol.client import EnrolClient
    from fleet.settings import Settings


AT_ONCE = 20  # vouchers of one call, as fleet/enrol/body.py has it


class Told(NamedTuple):
    """What the fleet says of one that was used: the node's state, or why it is refused."""

    claim_id: str
    node_id: str
    state: str
    refusal: str


class Pulled(NamedTuple):
    """What a fleet gave: itself, whom it knows the laptop's holder by, and the vouchers."""

    fleet: Fleet
    person: str
    made: list[Made]


class Office(Protocol):
    """A fleet, as a laptop speaks to it."""

    def issue(self, area: str, node_type: str, requests: Sequence[bytes], days: int) -> Pulled:
        """A voucher for each request."""
        ...

    def announce(self, claim_id: str, node_id: str) -> Told:
        """Tell one that was used."""
        ...


def pull(
    office: Office, file: VoucherFile, count: int, area: str, node_type: str, days: int
) -> list[Voucher]:
    """Make `count` keys, have them made vouchers, and keep them in `file`, so many at a time."""
    added: list[Voucher] = []
    while len(added) < count:
        ids = [vouchers.draw_id() for _ in range(min(AT_ONCE, count - len(added)))]
        keys = {one: client.make_claim_key_and_csr(one) for one in ids}
        got = office.issue(area, node_type, [request for _, request in keys.values()], days)
        fresh = [
            Voucher(
                one.claim_id, got.person, one.area, node_type, one.not_after_us // 1_000_000,
                one.certificate, keys[one.claim_id][0], one.kid, one.secret,
            )
            for one in got.made
        ]  # fmt: skip
        file.add(got.fleet, fresh)
        added += fresh
    return added


def push(office: Office, file: VoucherFile) -> list[Told]:
    """Tell all that were used. Once that is durable the caller removes them from `file`."""
    return [office.announce(one.claim_id, one.node_id) for one in file.all() if one.state == USED]


class Remote:
    """A fleet over HTTPS, by its enrolment API and somebody's token."""

    def __init__(self, calls: "EnrolClient") -> None:
        self._calls = calls

    def issue(self, area: str, node_type: str, requests: Sequence[bytes], days: int) -> Pulled:
        """By the API."""
        answer = self._calls.vouchers(node_type, area, days, requests)
        try:
            doors = {name: (str(h), int(p)) for name, (h, p) in answer["doors"].items()}
            host, port = doors.get("mqtt", ("", 0))
            coap_host, coap_port = doors.get("coap", ("", 0))
            keys = {str(name): str(der) for name, der in answer["keys"].items()}
            defaults = {str(answer["vouchers"][0]["area"]): dict(answer["defaults"])}
            fleet = Fleet(_bytes(answer["ca"]), host, port, coap_host, coap_port, keys, defaults)
            made = [
                Made(
                    str(one["id"]), _bytes(one["certificate"]), _bytes(one["kid"]),
                    SecretBytes(_bytes(one["secret"])), str(one["area"]),
                    int(one["not_after_us"]),
                )
                for one in answer["vouchers"]
            ]  # fmt: skip
            return Pulled(fleet, str(answer["person"]), made)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise VoucherError(
                "the fleet's answer has no vouchers: is it of this version?"
            ) from None

    def announce(self, claim_id: str, node_id: str) -> Told:
        """By the API; a network that is gone ends the push, a refusal does not."""
        from fleet.enrol.client import ClaimRefused

        try:
            answer = self._calls.voucher_used(claim_id, node_id)
        except ClaimRefused as e:
            return Told(claim_id, node_id, "", str(e))
        return Told(claim_id, node_id, str(answer.get("state", "")), "")


class Here:
    """The fleet whose data folder is on this machine, in the caller's transaction."""

    def __init__(self, session: "Session", settings: "Settings", person: str) -> None:
        self._person = person
        self._session = session
        self._settings = settings

    def issue(self, area: str, node_type: str, requests: Sequence[bytes], days: int) -> Pulled:
        """By the operations."""
        from fleet.enrol.types import roles
        from fleet.identity.authority import Authority
        from fleet.identity.wrapping import open_wrapper
        from fleet.registry import operations as registry

        authority = Authority.load(self._settings.pki)
        made = vouchers.issue(
            self._session, authority, open_wrapper(self._settings), self._person,
            registry.check_area(self._session, area), node_type, roles().of(node_type),
            requests, days,
        )  # fmt: skip
        return Pulled(self._fleet(authority.root_der), self._person, made)

    def announce(self, claim_id: str, node_id: str) -> Told:
        """By the operations; a refusal leaves the others as they are."""
        from fleet.identity import claims
        from fleet.registry.operations import RegistryError

        try:
            with self._session.begin_nested():
                state = claims.announce(self._session, self._person, claim_id, node_id)
        except (IdentityError, RegistryError) as e:
            return Told(claim_id, node_id, "", str(e))
        return Told(claim_id, node_id, state, "")

    def _fleet(self, ca: bytes) -> Fleet:
        """By what runs now, else by the settings."""
        import json

        chosen = self._settings
        try:
            run = json.loads(chosen.run_file.read_text())
        except (OSError, ValueError):
            run = {}
        host, port = chosen.external or (chosen.broker_names[0], chosen.broker_port)
        return Fleet(
            ca=ca,
            host=run.get("broker_host", host),
            port=run.get("broker_port", port),
            coap_host=run.get("coap_host", chosen.coap_host),
            coap_port=run.get("coap_port", chosen.coap_port or 0),
        )


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
