"""Settings of a fleet: the data folder, and `kapok.toml` in it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "kapok.toml"
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
"""


class SettingsError(ValueError):
    """The data folder or its settings cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Settings:
    """Where everything is. `external`: (host, port) of a broker that is not ours."""

    data: Path
    api_host: str
    api_port: int
    broker_host: str
    broker_port: int
    broker_names: tuple[str, ...]
    external: tuple[str, int] | None

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL of the database."""
        return f"sqlite:///{database_path(self.data)}"

    @property
    def pki(self) -> Path:
        """Folder of the certificate authority."""
        return self.data / "pki"

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
) -> Settings:
    """The settings of `data`, with these replaced; SettingsError in one line."""
    path = data / CONFIG
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{data} is no Kapok data folder: kapok --data {data} init") from None
    except OSError as e:
        raise SettingsError(f"cannot read {path}: {e.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: {e}") from None
    api, broker_table = _table(raw, "api", path), _table(raw, "broker", path)
    names = broker_table.get("names", ["localhost", "127.0.0.1"])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{path}: broker.names is a list of texts")
    return Settings(
        data,
        _text(api, "host", "127.0.0.1", path),
        _port(api.get("port", 8080) if port is None else port, "api.port"),
        _text(broker_table, "host", "127.0.0.1", path),
        _port(broker_table.get("port", 8883) if broker_port is None else broker_port, "port"),
        tuple(names),
        _external(broker or _text(broker_table, "address", "embedded", path)),
    )


def _table(raw: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = raw.get(name, {})
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: {name} is a table")
    return value


def _text(table: dict[str, Any], key: str, default: str, path: Path) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{path}: {key} is a text")
    return value


def _port(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise SettingsError(f"{what} is a port number, 0 to 65535, not {str(value)[:20]!r}")
    return value


def _external(address: str) -> tuple[str, int] | None:
    if address == "embedded":
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"broker {address[:60]!r}: 'embedded' or HOST:PORT")
    return host, int(port)
