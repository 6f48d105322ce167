"""The sender of a fleet as a process that can be killed: `sender_process.py DATABASE KEY`."""

import sys
import time
from pathlib import Path

from fleet.alarms import sender
from fleet.alarms.transport import Transport
from fleet.db.base import Database
from fleet.identity.wrapping import FileKey

if __name__ == "__main__":
    sender.LOOK_S = 0.05
    key = FileKey.load(Path(sys.argv[2]))
    sender.Sender(Database(f"sqlite:///{sys.argv[1]}"), Transport(key, None, None)).start()
    while True:
        time.sleep(60)
