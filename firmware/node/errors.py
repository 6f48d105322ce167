"""The errors of the node's code, each with a stable code that the status reports.

Those of one part lie there: 14 and 15 in link/registration.py, 22 in claim.py, 23 in
link/https.py. Codes 4 and 5 are said by the rescue application.
"""


class NodeError(Exception):
    """Base: `code` is stable and reported; `cause` is the number the other side gave, or 0."""

    code = 1

    def __init__(self, text: str = "", cause: int = 0) -> None:
        super().__init__(text)
        self.cause = cause


class ConfigError(NodeError):
    """Provisioned configuration is missing or out of bounds."""

    code = 2


class JournalError(NodeError):
    """The journal cannot take a record or cannot be opened."""

    code = 3


class LinkError(NodeError):
    """Base of all that can go wrong between the node and the fleet."""

    code = 10


class AtTimeout(LinkError):
    """The modem did not finish a command within its deadline."""

    code = 11


class AtError(LinkError):
    """The modem answered ERROR, +CME ERROR or +CMS ERROR; `cause` is its number, or 0."""

    code = 12


class ModemMute(LinkError):
    """The modem does not answer at all."""

    code = 13


class SocketError(LinkError):
    """A socket could not be opened, or was lost; `cause` is the modem's result code."""

    code = 16


class TlsError(LinkError):
    """The TLS handshake or record layer failed; `cause` is mbedTLS's number."""

    code = 17


class MqttError(LinkError):
    """The broker refused, or broke MQTT 3.1.1; `cause` is the CONNACK code, or 0."""

    code = 18


class DeliverTimeout(LinkError):
    """The fleet gave no receipt within the deadline."""

    code = 19


class OscoreError(LinkError):
    """A message could not be protected or did not verify (RFC 8613), or no number is left."""

    code = 20


class CoapError(LinkError):
    """The CoAP exchange was refused or broke RFC 7252; `cause` is the response code, or 0."""

    code = 21
