"""Mosquitto's configuration and access list, rendered from the same permissions.

Written for Mosquitto 2.0.11. What it does differently, measured: it answers SUBACK and PUBACK to
what it then drops; with an unlimited queue it also ends the connection after a denied PUBLISH; it
renames a foreign client id to the CN; it keeps live sessions of a revoked certificate through a
reload, so the ingest looks at the registry's state at every report; and it hands messages of a
shared subscription to a member whom the list then denies them, so the group's name is a secret.
"""

from dataclasses import dataclass
from pathlib import Path

from fleet.broker.errors import BrokerError
from fleet.broker.permissions import (
    CLAIM_RULES,
    MAX_PACKET_BYTES,
    NODE_RULES,
    SERVICE_CN,
    SERVICE_RULES,
    Rule,
)
from fleet.whoami import user_name

_CONF = """\
# Mosquitto 2.0 for Kapok: rendered by fleet/broker/mosquitto.py; edit there, then render anew.
# After a revocation: write crl.pem anew and send SIGHUP. Live sessions persist through that;
# the fleet refuses their reports by the registry's state.
user {user}
listener {port} {host}

# A client is its certificate: the CN is the user name and the client id.
cafile {authorities}
certfile {certificate}
keyfile {key}
crlfile {crl}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {acl}

# 0 is no limit: with the default, 3,559 of 5,000 QoS 1 messages were dropped in silence.
max_queued_messages 0
max_inflight_messages 100
max_packet_size {max_packet}
set_tcp_nodelay true

# Receipts are what counts: nothing is retained, stored or published by the broker itself.
retain_available false
persistence false
persistent_client_expiration 1d
sys_interval 0

log_dest stderr
log_type error
log_type warning
log_type notice
"""

_ACL = """\
# Rendered by fleet/broker/mosquitto.py from fleet/broker/permissions.py. No line: no access.
user {service}
{service_rules}
# Patterns hold for every user, hence for the service too.
topic deny {service_own}

{node_rules}
# A pattern cannot tell a voucher from a node: of what a voucher may write to its own topics the
# fleet reads the claim only.
{claim_rules}
"""


@dataclass(frozen=True)
class MosquittoSettings:
    """Where to listen, the PEM files, and the account that Mosquitto runs as and reads them by."""

    port: int
    certificate: Path
    key: Path
    authorities: Path
    crl: Path
    host: str = "127.0.0.1"
    user: str = ""

    def account(self) -> str:
        """The account: as set, or that of this process."""
        return self.user or user_name()


def acl() -> str:
    """The text of the access list."""
    return _ACL.format(
        service=SERVICE_CN,
        service_own=f"k1/{SERVICE_CN}/#",
        service_rules="\n".join(_line("topic", rule) for rule in SERVICE_RULES),
        node_rules="\n".join(_line("pattern", rule) for rule in NODE_RULES),
        claim_rules="\n".join(
            _line("pattern", rule) for rule in CLAIM_RULES if rule not in NODE_RULES
        ),
    )


def configuration(settings: MosquittoSettings, acl_path: Path) -> str:
    """The text of mosquitto.conf; BrokerError for a value that would break out of its line."""
    values: dict[str, object] = {
        "user": settings.account(),
        "port": settings.port,
        "host": settings.host,
        "authorities": settings.authorities,
        "certificate": settings.certificate,
        "key": settings.key,
        "crl": settings.crl,
        "acl": acl_path,
        "max_packet": MAX_PACKET_BYTES,
    }
    for name, value in values.items():
        text = str(value)
        if not text or text != text.strip() or not text.isprintable():
            raise BrokerError(f"mosquitto.conf: {name} {text[:60]!r} cannot stand in one line")
    return _CONF.format_map(values)


def render(folder: Path, settings: MosquittoSettings) -> Path:
    """Write mosquitto.conf and acl into `folder`; the path to start `mosquitto -c` with."""
    folder.mkdir(parents=True, exist_ok=True)
    acl_path = folder / "acl"
    acl_path.write_text(acl(), encoding="utf-8")
    conf_path = folder / "mosquitto.conf"
    conf_path.write_text(configuration(settings, acl_path), encoding="utf-8")
    return conf_path


def _line(keyword: str, rule: Rule) -> str:
    return f"{keyword} {'write' if rule.write else 'read'} {rule.filter}"
