"""The rig's keys: two workers that make the same one at the same time have one pair."""

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from fleet.cli.main import kapok
from hil import releases


def _is_pair(path: Path) -> bool:
    private = load_pem_private_key(path.read_bytes(), None)
    public = load_pem_public_key(Path(f"{path}.pub").read_bytes())
    return bool(private.public_key() == public)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's keys."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_two_workers_at_once_have_one_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=60)
    make = kapok.main

    def slowly(*words: object, **named: object) -> object:
        made = make(*words, **named)  # type: ignore[arg-type]
        both.wait()  # each has made a key of its own before either puts it there
        return made

    monkeypatch.setattr(kapok, "main", slowly)
    found: list[Path] = []
    workers = [
        threading.Thread(target=lambda: found.append(releases.key("root1"))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(found)) == 1
    assert _is_pair(found[0])


def test_a_worker_that_dies_between_the_halves_leaves_none(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(words: list[str], **_: object) -> None:
        Path(words[-1]).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kapok, "main", dies)
        with pytest.raises(KeyboardInterrupt):
            releases.key("release")
    assert not list(cache.rglob("key.pem"))
    assert _is_pair(releases.key("release"))
