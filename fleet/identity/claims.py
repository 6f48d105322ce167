"""Claims: a voucher is turned into a node's identity, once, in the caller's transaction."""

from collections.abc import Iterable
from hashlib import sha256

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.control import operations as control
from fleet.identity import contexts, csr, hmac_keys, operations, rotation, vouchers
from fleet.identity.authority import Authority
from fleet.identity.errors import IdentityError
from fleet.identity.tables import Certificate, OscoreContext, Voucher, VoucherClaim
from fleet.identity.wrapping import Wrapper, WrappingError
from fleet.registry import operations as registry
from fleet.wire import claim as wire

log = structlog.get_logger("claims")
IN_FLIGHT_US = 600 * 1_000_000  # longer than any report is on its way: CoAP gives up in 4 min


class _RefusedError(Exception):
    """No grant. `reason` is what the node is told, the text what the fleet's log says."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Claims:
    """Answers claims. `authority` signs, `wrapper` keeps the secrets of nodes."""

    def __init__(self, authority: Authority, wrapper: Wrapper) -> None:
        self._authority = authority
        self._wrapper = wrapper

    def answer(self, session: Session, claim_id: str, payload: bytes) -> bytes:
        """The grant, or the refusal, for a claim that came under the voucher's own credentials.

        True once the transaction commits. The same claim has the same answer as often as it
        comes, until the node has reported; any other claim on that voucher is refused, and logged.
        """
        try:
            with session.begin_nested():  # a refusal leaves nothing behind
                return self._granted(session, claim_id, payload)
        except _RefusedError as e:
            log.warning("a voucher is refused", voucher=claim_id, reason=str(e))
            return wire.encode_refusal(e.reason)
        except WrappingError as e:  # the token that opens secrets is gone: not the node's fault
            log.error("a claim cannot be answered", voucher=claim_id, reason=str(e))
            return wire.encode_refusal(wire.LATER)

    def granted(self, session: Session, claim_id: str) -> bytes | None:
        """The grant that a voucher was answered with, None where there is none to fetch."""
        voucher = session.get(Voucher, claim_id)
        taken = session.get(VoucherClaim, claim_id)
        if voucher is None or taken is None or voucher.revoked_us is not None:
            return None
        return self._grant(session, taken)

    def _granted(self, session: Session, claim_id: str, payload: bytes) -> bytes:
        try:
            asked = wire.decode(payload)
        except wire.ClaimError as e:
            raise _RefusedError(wire.MALFORMED, f"no claim: {e}") from None
        voucher = _live(session, claim_id)
        digest = sha256(asked.csr).hexdigest()
        taken = session.get(VoucherClaim, claim_id)
        if taken is None:
            taken = self._first(session, voucher, asked, digest)
        if (taken.node_id, taken.csr_digest) != (asked.node_id, digest):
            raise _RefusedError(
                wire.USED,
                f"node {asked.node_id} claims what node {taken.node_id} has claimed"
                if taken.node_id != asked.node_id
                else f"node {asked.node_id} claims again with another key",
            )
        return self._grant(session, taken)

    def _first(
        self, session: Session, voucher: Voucher, asked: wire.Claim, digest: str
    ) -> VoucherClaim:
        is_known = self._checked(session, voucher, asked)
        made = VoucherClaim(
            voucher_id=voucher.id,
            node_id=asked.node_id,
            csr_digest=digest,
            certificate=b"",
            spare=asked.spare or None,
            claimed_us=vouchers.now_us(),
            waiting_for=None,
        )
        try:
            with session.begin_nested():  # the primary key decides who was first
                session.add(made)
                session.flush()
        except IntegrityError:
            session.expire_all()
            winner = session.get(VoucherClaim, voucher.id)
            if winner is None:
                raise
            return winner
        try:
            self._enrol(session, voucher, asked, made, is_known=is_known)
        except WrappingError:
            raise
        except (IdentityError, registry.RegistryError) as e:
            raise _RefusedError(wire.FOREIGN, str(e)) from None
        session.flush()
        return made

    def _checked(self, session: Session, voucher: Voucher, asked: wire.Claim) -> bool:
        """Whether the node is known already; refused unless the voucher is for such a node."""
        if asked.role != voucher.role:
            raise _RefusedError(
                wire.FOREIGN, f"a {asked.role[:16]!r} claims what is for a {voucher.role!r}"
            )
        if voucher.node_id not in (None, asked.node_id):
            raise _RefusedError(
                wire.USED, f"node {asked.node_id} claims what was used for {voucher.node_id}"
            )
        try:
            found = registry.show_node(session, asked.node_id)
        except registry.RegistryError:
            return False
        # A node that the fleet knows is not anybody's to claim: the laptop's own word, which came
        # with its person's token, must say that this voucher went into that node.
        if voucher.node_id is None:
            raise _RefusedError(
                wire.TAKEN, f"node {asked.node_id} is known: kapok voucher push from the laptop"
            )
        if found.state not in ("pending", "active") or (found.area, found.role) != (
            voucher.area, voucher.role,
        ):  # fmt: skip
            raise _RefusedError(
                wire.FOREIGN,
                f"node {asked.node_id} is a {found.role} in {found.area}, {found.state}; "
                f"the voucher is for a {voucher.role} in {voucher.area}",
            )
        return True

    def _enrol(
        self,
        session: Session,
        voucher: Voucher,
        asked: wire.Claim,
        made: VoucherClaim,
        *,
        is_known: bool,
    ) -> None:
        node_id = asked.node_id
        request = csr.pem(asked.csr)
        if csr.check(request).node_id != node_id:
            raise IdentityError(f"the request that node {node_id} hands in is another's")
        if asked.spare and csr.check(csr.pem(asked.spare)).node_id != node_id:
            raise IdentityError(f"the spare request that node {node_id} hands in is another's")
        if is_known:
            # Its memory was erased, and its keys with it: whoever has them still is no node.
            live = select(Certificate.serial).where(
                (Certificate.active_for == node_id) | (Certificate.next_for == node_id)
            )
            for serial in session.scalars(live).all():
                operations.revoke(session, int(serial, 16), "superseded")
            contexts.retire(session, OscoreContext.node_id == node_id)
            hmac_keys.revoke(session, node_id)
            control.cancel(session, node_id)
            registry.set_state(session, node_id, "active")
        else:
            registry.add_node(session, node_id, voucher.role, voucher.area)
        issued = operations.enrol(session, self._authority, request)
        if asked.spare:
            rotation.store_spare(session, node_id, asked.spare)
        contexts.new_context(session, self._wrapper, node_id)
        hmac_keys.next_key(session, self._wrapper, node_id)
        hmac_keys.promote(session, node_id)
        made.certificate = issued.der
        _end(session, VoucherClaim.waiting_for == node_id)  # an earlier voucher of this node
        made.waiting_for = node_id
        voucher.node_id = node_id
        log.info("a voucher was claimed", voucher=voucher.id, node=node_id, person=voucher.person)

    def _grant(self, session: Session, taken: VoucherClaim) -> bytes:
        context = contexts.current(session, self._wrapper, taken.node_id)
        certificate = x509.load_der_x509_certificate(taken.certificate)
        live = session.scalar(
            select(Certificate.active_for).where(
                Certificate.serial == operations.serial_text(certificate.serial_number)
            )
        )
        if context is None or live != taken.node_id:
            raise _RefusedError(wire.USED, f"what node {taken.node_id} was granted has ended")
        (key, *_) = hmac_keys.keys(session, self._wrapper, taken.node_id)
        der = certificate.public_bytes(Encoding.DER)
        return wire.encode_grant(der, key, [context.kid, context.secret])


def announce(session: Session, person: str, claim_id: str, node_id: str) -> str:
    """What a laptop tells afterwards: `person` used a voucher for this node. The node's state.

    It is registered as pending where the fleet has not met it. IdentityError, RegistryError.
    """
    voucher = vouchers.bind(session, person, claim_id, registry.check_node_id(node_id))
    try:
        found = registry.show_node(session, node_id)
    except registry.RegistryError:
        found = registry.add_node(session, node_id, voucher.role, voucher.area, state="pending")
    if (found.area, found.role) != (voucher.area, voucher.role):
        raise IdentityError(
            f"node {node_id} is a {found.role} in {found.area}; voucher {claim_id} is for a "
            f"{voucher.role} in {voucher.area}"
        )
    return found.state


def end_used(session: Session, node_ids: Iterable[str]) -> int:
    """End the vouchers of nodes that have reported under their own identity; how many.

    A node that had an identity before may have a report of that life on its way, which must not
    end the voucher before the node has its answer: there the claim must be IN_FLIGHT old.
    """
    wanted = list(node_ids)
    if not wanted:
        return 0
    had_one = (
        select(Certificate.serial)
        .where(
            Certificate.subject == VoucherClaim.node_id,
            Certificate.issued_us < VoucherClaim.claimed_us,
        )
        .exists()
    )
    old = VoucherClaim.claimed_us <= vouchers.now_us() - IN_FLIGHT_US
    return _end(session, VoucherClaim.waiting_for.in_(wanted) & (old | ~had_one))


def _end(session: Session, which: ColumnElement[bool]) -> int:
    rows = session.execute(
        select(VoucherClaim, Voucher)
        .join(Voucher, Voucher.id == VoucherClaim.voucher_id)
        .where(which)
    ).all()
    for claim, voucher in rows:
        claim.waiting_for = None
        if voucher.revoked_us is None:
            vouchers.end(session, voucher, "cessation-of-operation")
    session.flush()
    return len(rows)


def _live(session: Session, claim_id: str) -> Voucher:
    voucher = session.get(Voucher, claim_id, with_for_update=True)
    if voucher is None:
        raise _RefusedError(wire.UNKNOWN, "there is no such voucher")
    if voucher.revoked_us is not None:
        raise _RefusedError(wire.UNKNOWN, f"it was ended; it was given to {voucher.person}")
    if voucher.not_after_us < vouchers.now_us():
        raise _RefusedError(wire.EXPIRED, f"it has expired; it was given to {voucher.person}")
    return voucher
