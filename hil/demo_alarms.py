"""The alarms that a demo raises, each as one line once it is there."""

from pathlib import Path

from sqlalchemy import URL

from fleet import texts
from fleet.alarms import listing, packs
from fleet.alarms.wording import text_of
from fleet.db.base import Database

PAGE = 20  # lines at once: a demo is for reading


class AlarmLines:
    """`new` gives what came since it was last asked, of a fleet's database at `path`."""

    def __init__(self, path: Path, lang: str = "") -> None:
        self._database = Database(URL.create("sqlite", database=str(path)))
        self._lang = lang or texts.language()
        self._after = 0

    def new(self) -> list[str]:
        """Lines `alarm (severity): text`, oldest first; those that are over already, too."""
        with self._database.read() as session:
            wanted = listing.Filter(history=True)
            found = listing.list_(session, wanted, self._after, PAGE)
            rules = packs.in_force(session).by_kind
        lines = []
        for alarm in found:
            self._after = alarm.id
            severity = texts.say(f"severity.{alarm.severity}", self._lang)
            text = text_of(alarm, self._lang, rules.get(alarm.kind))
            lines.append(texts.say("list.line", self._lang, {"severity": severity, "text": text}))
        return lines

    def close(self) -> None:
        """Close the database."""
        self._database.close()
