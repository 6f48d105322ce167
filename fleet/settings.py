"""Settings of a fleet: the data folder, and `kapok.toml` in it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.control.limits import Limits
from fleet.errors import Refusal

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

CONFIG = "kapok.toml"
_TABLES = (
    "api",
    "broker",
    "coap",
    "control",
    "enrol",
    "identity",
    "updates",
    "keys",
    "mail",
    "webhook",
)
SECURITIES = ("starttls", "tls", "none")  # of the way to a mail server
_ADDRESS = re.compile(r"[0-9A-Za-z._%+-]{1,64}@[0-9A-Za-z][0-9A-Za-z.-]{0,251}[0-9A-Za-z]")
_HOST = re.compile(r"[0-9A-Za-z:]([0-9A-Za-z:.-]{0,251}[0-9A-Za-z:])?")
TEMPLATE = """\
# Kapok data folder. Options of `kapok serve` win over this file. Port 0: any free one.
[api]
host = "127.0.0.1"
port = 8080

[broker]
# "embedded", or "HOST:PORT" of a broker with the permissions of deploy/mosquitto.
address = "embedded"
host = "127.0.0.1"
port = 8883
# Names under which nodes reach the embedded broker; they go into its certificate.
names = ["localhost", "127.0.0.1"]
# How another broker is told to read pki/crl.pem again: SIGHUP by its pid file, or a command.
# reload = "pidfile:/run/mosquitto/mosquitto.pid"
# reload = ["systemctl", "reload", "mosquitto"]

[identity]
# A node's certificate is changed over the air so many days before its end.
rotate_days = 365

[control]
# How many nodes commands may reach in any minute, all commands together: of the valve class
# (close, arm), and of all others. It bounds what a stolen account can do.
valve_per_minute = 60
other_per_minute = 6000
# Two persons must want what moves a valve, each under an account of this machine of his own:
# one_account = true    # or both under one, as in a trial

[coap]
# Where battery nodes send their datagrams; port "off": not here.
host = "127.0.0.1"
port = 5683

[enrol]
# Where technicians' machines claim identities for boards, over HTTPS; port "off": not here.
host = "127.0.0.1"
port = 8443

[updates]
# Where nodes on LTE Cat1 fetch updates, by HTTPS and their own certificates; port "off": not here.
host = "127.0.0.1"
port = 8444

# What nodes of an area get beside their type's defaults; a longer prefix wins:
# [enrol.defaults.4401]
# apn = "iot.example"

# Alarms by mail go to this server; security "starttls", "tls", or "none" on this machine:
# [mail]
# host = "smtp.example"
# port = 587
# security = "starttls"
# sender = "kapok@example"
# user = "kapok"
# password_file = "/etc/kapok/mail"
# ca_file = "/etc/kapok/ca.pem"

# Alarms by webhook trust this authority instead of the machine's own:
# [webhook]
# ca_file = "/etc/kapok/ca.pem"

# The secrets of nodes are wrapped by the file pki/wrapping.key, or by an AES key in a token:
# [keys.pkcs11]
# module = "/usr/lib/softhsm/libsofthsm2.so"
# token = "kapok"
# label = "wrapping"
# pin_file = "/etc/kapok/pin"
# Evidence of migrations is signed by the file pki/evidence.key, or by an RSA-3072 key in a token:
# [keys.evidence]
# the same four keys
"""


class SettingsError(Refusal, ValueError):
    """The data folder or its settings cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Pkcs11:
    """Where a key in a token is: library, labels of token and key, file of the PIN."""

    module: Path
    token: str
    label: str
    pin_file: Path


@dataclass(frozen=True)
class Mail:
    """The server that takes alarms by mail. `user` empty: it asks for no password."""

    host: str
    port: int
    security: str
    sender: str
    user: str
    password_file: Path | None
    ca_file: Path | None


@dataclass(frozen=True)
class Settings:
    """Where everything is. `external`: (host, port) of a broker that is not ours.

    `reload`: pid file, or command, by which an external broker reads the revocation list again.
    `coap_port` None: no CoAP here; `enrol_port` and `updates_port` alike. `pkcs11` None: the key
    is the file `wrapping_key`. `enrol_defaults`: by area prefix, configuration of nodes.
    `limits`: how many nodes commands may reach. `one_account`: two persons may share one.
    `evidence` None: what signs evidence is a file.
    """

    data: Path
    api_host: str
    api_port: int
    broker_host: str
    broker_port: int
    broker_names: tuple[str, ...]
    external: tuple[str, int] | None
    coap_host: str
    coap_port: int | None
    pkcs11: Pkcs11 | None
    reload: Path | tuple[str, ...] | None = None
    rotate_days: int = 365
    enrol_host: str = "127.0.0.1"
    enrol_port: int | None = 8443
    enrol_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mail: Mail | None = None
    webhook_ca: Path | None = None
    limits: Limits = field(default_factory=Limits)
    one_account: bool = False
    updates_host: str = "127.0.0.1"
    updates_port: int | None = 8444
    evidence: Pkcs11 | None = None

    @property
    def database_url(self) -> "URL":
        """SQLAlchemy's URL of the database; an object, for a folder's name may hold any sign."""
        from sqlalchemy.engine import URL

        return URL.create("sqlite", database=str(database_path(self.data)))

    @property
    def own_broker_host(self) -> str:
        """The address at which the fleet itself reaches the embedded broker."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        return everywhere.get(self.broker_host, self.broker_host)

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """What the embedded broker's certificate must answer to."""
        return tuple(dict.fromkeys((*self.broker_names, self.own_broker_host)))

    @property
    def pki(self) -> Path:
        """Folder of the certificate authority."""
        return self.data / "pki"

    @property
    def wrapping_key(self) -> Path:
        """File of the key that wraps the secrets of nodes, unless a token holds it."""
        return self.pki / "wrapping.key"

    @property
    def run_file(self) -> Path:
        """Addresses and process id while a fleet serves."""
        return self.data / "run.json"


def database_path(data: Path) -> Path:
    """The SQLite file of a data folder."""
    return data / "kapok.db"


def load(
    data: Path,
    *,
    port: int | None = None,
    broker_port: int | None = None,
    broker: str | None = None,
    coap_port: int | str | None = None,
    enrol_port: int | str | None = None,
    updates_port: int | str | None = None,
) -> Settings:
    """The settings of `data`, with these replaced; SettingsError in one line.

    `coap_port`, `enrol_port` and `updates_port` are numbers or "off".
    """
    path = data / CONFIG
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{data} is no Kapok data folder: kapok --data {data} init") from None
    except OSError as e:
        raise SettingsError(f"cannot read {path}: {e.strerror}") from None
    except (ValueError, RecursionError) as e:  # of TOML, of UTF-8, of a number without end
        raise SettingsError(f"{path}: {str(e).splitlines()[0]}") from None
    _known(raw, _TABLES, path)
    api = _table(raw, "api", ("host", "port"), path)
    broker_table = _table(raw, "broker", ("address", "host", "port", "names", "reload"), path)
    coap = _table(raw, "coap", ("host", "port"), path)
    updates = _table(raw, "updates", ("host", "port"), path)
    enrol = _table(raw, "enrol", ("host", "port", "defaults"), path)
    names = broker_table.get("names", ["localhost", "127.0.0.1"])
    if not isinstance(names, list) or not names or not all(_is_host(name) for name in names):
        raise SettingsError(f"{path}: broker.names is a list of host names and IP addresses")
    keys = _table(raw, "keys", ("pkcs11", "evidence"), path)
    control = _table(raw, "control", ("valve_per_minute", "other_per_minute", "one_account"), path)
    return Settings(
        data,
        _host(api, "host", "127.0.0.1", path),
        _port(api.get("port", 8080) if port is None else port, "api.port"),
        _host(broker_table, "host", "127.0.0.1", path),
        _port(
            broker_table.get("port", 8883) if broker_port is None else broker_port, "broker.port"
        ),
        tuple(names),
        _external(broker or _text(broker_table, "address", "embedded", path)),
        _host(coap, "host", "127.0.0.1", path),
        _port_or_off(coap.get("port", 5683) if coap_port is None else coap_port, "coap.port"),
        _pkcs11(keys, "pkcs11", path),
        _reload(broker_table.get("reload"), path),
        _days(_table(raw, "identity", ("rotate_days",), path).get("rotate_days", 365), path),
        _host(enrol, "host", "127.0.0.1", path),
        _port_or_off(enrol.get("port", 8443) if enrol_port is None else enrol_port, "enrol.port"),
        _defaults(enrol.get("defaults", {}), path),
        _mail(raw, path),
        _file(_table(raw, "webhook", ("ca_file",), path), "ca_file", path),
        _limits(control, path),
        _one_account(control, path),
        _host(updates, "host", "127.0.0.1", path),
        _port_or_off(
            updates.get("port", 8444) if updates_port is None else updates_port, "updates.port"
        ),
        _pkcs11(keys, "evidence", path),
    )


def is_address(text: str) -> bool:
    """Whether a text is a mail address: ASCII, without quotes, comments or line ends."""
    return bool(_ADDRESS.fullmatch(text)) and ".." not in text


def _known(table: dict[str, Any], keys: tuple[str, ...], path: Path) -> None:
    for key in table:
        if key not in keys:
            raise SettingsError(f"{path}: no such key: {key[:40]!r}; one of {', '.join(keys)}")


def _table(raw: dict[str, Any], name: str, keys: tuple[str, ...], path: Path) -> dict[str, Any]:
    value = raw.get(name, {})
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: {name} is a table")
    _known(value, keys, path)
    return value


def _text(table: dict[str, Any], key: str, default: str, path: Path) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{path}: {key} is a text")
    return value


def _is_host(value: object) -> bool:
    # Two dots in a row would raise a UnicodeError deep inside the socket module.
    return isinstance(value, str) and bool(_HOST.fullmatch(value)) and ".." not in value


def _host(table: dict[str, Any], key: str, default: str, path: Path) -> str:
    value = _text(table, key, default, path)
    if not _is_host(value):
        raise SettingsError(f"{path}: {key} {value[:60]!r} is no host name and no IP address")
    return value


def _port(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise SettingsError(f"{what} is a port number, 0 to 65535, not {str(value)[:20]!r}")
    return value


def _reload(value: object, path: Path) -> Path | tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) and value.startswith("pidfile:/"):
        return Path(value.removeprefix("pidfile:"))
    if isinstance(value, list) and value and all(isinstance(word, str) and word for word in value):
        return tuple(value)
    raise SettingsError(f"{path}: broker.reload is 'pidfile:/PATH', or a command as a list")


def _days(value: object, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 3650:
        raise SettingsError(f"{path}: identity.rotate_days is a number of days, 1 to 3650")
    return value


def _limits(control: dict[str, Any], path: Path) -> Limits:
    found = []
    for key, default in zip(("valve_per_minute", "other_per_minute"), Limits(), strict=True):
        value = control.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
            raise SettingsError(f"{path}: control.{key} is a number of nodes, 1 to 100000")
        found.append(value)
    return Limits(*found)


def _one_account(control: dict[str, Any], path: Path) -> bool:
    value = control.get("one_account", False)
    if not isinstance(value, bool):
        raise SettingsError(f"{path}: control.one_account is true or false")
    return value


def _external(address: str) -> tuple[str, int] | None:
    if address == "embedded":
        return None
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")  # [::1]:8883
    if not _is_host(host) or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise SettingsError(f"broker {address[:60]!r}: 'embedded' or HOST:PORT")
    return host, int(port)


def _port_or_off(value: object, what: str) -> int | None:
    if value == "off":
        return None
    if isinstance(value, str):
        raise SettingsError(f"{what} is a port number or 'off', not {value[:20]!r}")
    return _port(value, what)


def _file(table: dict[str, Any], key: str, path: Path) -> Path | None:
    return path.parent / _text(table, key, "", path) if key in table else None


def _defaults(value: object, path: Path) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: enrol.defaults is a table of areas")
    for area, configuration in value.items():
        if not re.fullmatch("[0-9]{2,12}", area) or not isinstance(configuration, dict):
            raise SettingsError(f"{path}: enrol.defaults.{area[:20]}: a table named by an area")
    return value


def _mail(raw: dict[str, Any], path: Path) -> Mail | None:
    if "mail" not in raw:
        return None
    names = ("host", "port", "security", "sender", "user", "password_file", "ca_file")
    table = _table(raw, "mail", names, path)
    security = _text(table, "security", "starttls", path)
    if security not in SECURITIES:
        raise SettingsError(f"{path}: mail.security is one of {', '.join(SECURITIES)}")
    sender = _text(table, "sender", "", path)
    if not is_address(sender):
        raise SettingsError(f"{path}: mail.sender {sender[:60]!r} is no mail address")
    user = _text(table, "user", "", path) if "user" in table else ""
    password = _file(table, "password_file", path)
    if bool(user) != (password is not None):
        raise SettingsError(f"{path}: mail.user and mail.password_file go together")
    if user and security == "none":
        raise SettingsError(f"{path}: mail.security 'none' would show the password to everybody")
    default = 465 if security == "tls" else 587 if user else 25
    return Mail(
        _host(table, "host", "", path), _port(table.get("port", default), "mail.port"), security,
        sender, user, password, _file(table, "ca_file", path),
    )  # fmt: skip


def _pkcs11(keys: dict[str, Any], which: str, path: Path) -> Pkcs11 | None:
    if which not in keys:
        return None
    names = ("module", "token", "label", "pin_file")
    table = _table(keys, which, names, path)
    for name in names:
        if name not in table:
            raise SettingsError(
                f"{path}: keys.{which} lacks {name!r}; it takes {', '.join(names)}"
            )
    module, token, label, pin_file = (_text(table, name, "", path) for name in names)
    return Pkcs11(Path(module), token, label, path.parent / pin_file)
