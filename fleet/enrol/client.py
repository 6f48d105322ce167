"""The enrolment API as a technician's machine calls it: it trusts the fleet of its token alone."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.identity import token_text
from fleet.identity.errors import IdentityError
from fleet.identity.token_text import TokenText

TIMEOUT_S = 30.0  # a claim waits for the fleet's database at most
_LONGEST = 65_536  # bytes of an answer
_LONGEST_CA = 8_192


class FleetUnreachable(IdentityError):
    """The fleet does not answer, or is not the one of the token; nothing was changed."""


class ClaimRefused(IdentityError):
    """The fleet says no; the text is its own."""


class PolicyWanted(ClaimRefused):
    """The board is registered, and somebody must say what is to be of it."""


def _address(url: str) -> tuple[str, int]:
    """Host and port of `https://HOST:PORT`; FleetUnreachable where it is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as the resolver will
        if host and parts.scheme == "https" and not parts.path.strip("/"):
            return host, parts.port or 443
    except ValueError:
        pass
    raise FleetUnreachable(f"{url[:80]!r} is no address of a fleet: https://HOST:PORT")


class EnrolClient:
    """Calls of one technician to one fleet. Safe for threads: each call has its connection."""

    def __init__(self, url: str, token: str) -> None:
        self._host, self._port = _address(url)
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._where = f"https://{host}:{self._port}"
        self._text = token
        self._token: TokenText = token_text.decode(token)
        self._trusted: ssl.SSLContext | None = None

    def look(self, node_id: str, node_type: str, holds: dict[str, str]) -> dict[str, Any]:
        """What a board is to the fleet, by what its NVS holds."""
        return self._post("look", {"node": node_id, "type": node_type, **holds})

    def claim(self, asked: dict[str, str]) -> dict[str, Any]:
        """Everything that a board gets."""
        return self._post("claim", asked)

    def confirm(self, node_id: str, serial: str) -> dict[str, Any]:
        """The board holds what was claimed."""
        return self._post("confirm", {"node": node_id, "serial": serial})

    def vouchers(
        self, node_type: str, area: str, days: int, requests: Sequence[bytes]
    ) -> dict[str, Any]:
        """A voucher for each PEM request, all or none; 20 at most."""
        csrs = [request.decode() for request in requests]
        return self._post(
            "vouchers", {"type": node_type, "area": area, "days": days, "csrs": csrs}
        )

    def voucher_used(self, claim_id: str, node_id: str) -> dict[str, Any]:
        """A voucher went into a board."""
        return self._post("voucher-used", {"voucher": claim_id, "node": node_id})

    def _context(self) -> ssl.SSLContext:
        """TLS that trusts the one root CA whose digest the token carries."""
        if self._trusted is None:
            pem = self._root()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cadata=pem)
            self._trusted = context
        return self._trusted

    def _root(self) -> str:
        # Whoever answers here is not known yet; what it says is checked by its digest.
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        status, raw = self._call(anybody, "GET", "ca", None, _LONGEST_CA)
        try:
            root = x509.load_pem_x509_certificate(raw)
            found = token_text.fleet_digest(root.public_bytes(Encoding.DER))
        except ValueError:
            found = b""
        if status != 200 or found != self._token.fleet:
            raise FleetUnreachable(
                f"{self._where} is not the fleet of this token: check --fleet, and the network"
            )
        return root.public_bytes(Encoding.PEM).decode()

    def _post(self, what: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"token": self._text, **asked}).encode()
        status, raw = self._call(self._context(), "POST", what, body, _LONGEST)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise FleetUnreachable(f"{self._where} answers {status} with no JSON: is it Kapok?")
        if status == 200:
            return answer
        text = " ".join(str(answer.get("detail", status)).split())[:300]
        if status == 409 and "--again" in text:
            raise PolicyWanted(text)
        if status in (429, 503):
            raise FleetUnreachable(f"{self._where}: {text}")
        raise ClaimRefused(text)

    def _call(
        self, context: ssl.SSLContext, method: str, what: str, body: bytes | None, longest: int
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=context
        )
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, f"/enrol/{what}", body, headers)
            response = connection.getresponse()
            raw = response.read(longest + 1)
        except ssl.SSLCertVerificationError as e:
            raise FleetUnreachable(
                f"{self._where} does not prove to be the fleet: {e.verify_message}:"
                " use the name that its certificate has"
            ) from None
        except (OSError, http.client.HTTPException) as e:
            raise FleetUnreachable(
                f"{self._where} does not answer: {getattr(e, 'strerror', None) or e}"
            ) from None
        finally:
            connection.close()
        if len(raw) > longest:
            raise FleetUnreachable(f"{self._where} answers more than {longest} bytes")
        return response.status, raw
