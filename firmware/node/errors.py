"""Every error that the node's code raises, each with a stable code that the status reports.

23 is HttpError, of link/https.py: few nodes need it.
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


class Rescued(NodeError):
    """The slot did not start: the rescue application runs."""

    code = 4


class FilesLost(NodeError):
    """The file system does not mount: rescue makes it anew, and the journal is gone."""

    code = 5


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


class AttachTimeout(LinkError):
    """No registration within the deadline."""

    code = 14


class AttachRefused(LinkError):
    """The network refused the terminal; `cause` is the EMM cause (3GPP TS 24.301, 9.9.3.9)."""

    code = 15
    FINAL = (3, 6, 7, 8, 11)  # what time does not heal: the SIM, the terminal, or their pairing


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


class ClaimRefused(LinkError):
    """The fleet refuses the voucher; `cause` is its reason (node.wire.claim)."""

    code = 22
