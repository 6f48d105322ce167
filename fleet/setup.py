"""`kapok init`: make a data folder, or bring one up to date."""

import os
from contextlib import closing
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
    found = prepare_wrapping_key(settings)
    done.append(f"wrapping key: {_place(settings)}{' (found)' if found else ''}")
    return done


def prepare_wrapping_key(settings: Settings) -> bool:
    """Make the key that wraps the secrets of nodes; True when it was there.

    A new one would not open what the lost one wrapped: SettingsError when there is such a secret.
    """
    from fleet.db.base import Database
    from fleet.identity import contexts, wrapping

    try:
        wrapping.open_wrapper(settings)
    except wrapping.KeyMissing:
        with closing(Database(settings.database_url)) as database, database.read() as session:
            needed = contexts.held(session)
        if needed:
            raise SettingsError(
                f"{_place(settings)} is missing, and secrets in the database need it: restore it"
            ) from None
        wrapping.create_wrapper(settings)
        return False
    return True


def _place(settings: Settings) -> str:
    if settings.pkcs11 is None:
        return str(settings.wrapping_key)
    return f"key {settings.pkcs11.label!r} in token {settings.pkcs11.token!r}"


def prepare_certificates(authority: Authority, settings: Settings) -> None:
    """Issue the broker's and the fleet's certificates if missing or near their end."""
    if authority.renewal_due(authority.server, settings.certificate_names):
        authority.issue_server(settings.certificate_names)
    if authority.renewal_due(authority.service):
        authority.issue_service()
