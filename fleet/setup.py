"""`kapok init`: make a data folder, or bring one up to date."""

import os
from pathlib import Path

from fleet.identity.authority import Authority
from fleet.identity.files import PUBLIC, write_atomic
from fleet.settings import CONFIG, TEMPLATE, Settings, SettingsError, load


def init(data: Path) -> list[str]:
    """Make what is missing; one line for each thing, whether made or found."""
    from fleet.db.migrate import upgrade  # slow to import, and this module is not only for this

    done = []
    try:
        if data.exists() and not data.is_dir():
            raise SettingsError(f"{data} is no folder")
        if not (data / CONFIG).exists() and data.is_dir() and any(data.iterdir()):
            raise SettingsError(f"{data} is not empty and no Kapok data folder: choose another")
        data.mkdir(parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        if (data / CONFIG).exists():
            done.append(f"settings: {data / CONFIG} (found)")
        else:
            write_atomic(data / CONFIG, TEMPLATE.encode(), PUBLIC)
            done.append(f"settings: {data / CONFIG}")
    except OSError as e:
        raise SettingsError(f"cannot make {data}: {e.strerror}") from None
    settings = load(data)
    found = settings.pki.exists()
    authority = Authority.open(settings.pki)
    prepare_certificates(authority, settings)
    done.append(f"certificate authority: {settings.pki}{' (found)' if found else ''}")
    before, after = upgrade(settings)
    done.append(f"database: revision {after}{' (found)' if before == after else ''}")
    return done


def prepare_certificates(authority: Authority, settings: Settings) -> None:
    """Issue the broker's and the fleet's certificates if missing or near their end."""
    if authority.renewal_due(authority.server, settings.certificate_names):
        authority.issue_server(settings.certificate_names)
    if authority.renewal_due(authority.service):
        authority.issue_service()
