"""The account in a file, so that a restart of the emulator loses nothing."""

import contextlib
import json
import os
import threading
import time
from pathlib import Path

from stripe_emulator.state.account import TABLES, Account, Json

_EVERY_SECONDS = 0.2
# A large account is written less often: writing takes at most a tenth of the time.
_REST_FACTOR = 10


class Snapshot:
    """Writes changes regularly in a thread of its own, and once more at the end."""

    def __init__(self, account: Account, path: Path) -> None:
        self._account = account
        self._account.changed = set()
        self._path = path
        self._texts: dict[str, dict[str, str]] = {name: {} for name in TABLES}
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        self._halt.set()
        self._thread.join()
        self.write()

    def load(self) -> None:
        if not self._path.exists():
            return
        tables: Json = json.loads(self._path.read_text(encoding="utf-8"))
        with self._account.mutex:
            for name in TABLES:
                for object_id, value in tables.get(name, {}).items():
                    self._account.put(name, object_id, value)
            for session in self._account.tables["sessions"].values():
                if session["status"] == "open":
                    self._account.watch_end(session)

    def write(self) -> None:
        """Replace the file as a whole, so that no reader sees half of it."""
        if not self._take_changes():
            return
        tables = (
            f"{json.dumps(name)}: {{{_joined(texts)}}}"
            for name, texts in self._texts.items()
        )
        scratch = self._path.with_name(f"{self._path.name}.new")
        with scratch.open("w", encoding="utf-8") as file:
            file.write("{" + ",\n".join(tables) + "}\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)

    def _take_changes(self) -> bool:
        """Turn changed objects into text; only this needs the mutex of the account."""
        with self._account.mutex:
            changed, self._account.changed = self._account.changed or set(), set()
            for table, object_id in changed:
                value = self._account.tables[table].get(object_id)
                if value is None:
                    self._texts[table].pop(object_id, None)
                else:
                    self._texts[table][object_id] = json.dumps(value)
            self._keep_order(changed)
        return bool(changed)

    def _keep_order(self, changed: set[tuple[str, str]]) -> None:
        """Keep the order of the account: lists are sorted by age."""
        for table in {table for table, _ in changed}:
            texts = self._texts[table]
            rows = self._account.tables[table]
            self._texts[table] = {object_id: texts[object_id] for object_id in rows}

    def _run(self) -> None:
        rest = _EVERY_SECONDS
        while not self._halt.wait(rest):
            began = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk: tried again at the end
                self.write()
            rest = max(_EVERY_SECONDS, _REST_FACTOR * (time.monotonic() - began))


def _joined(texts: dict[str, str]) -> str:
    return ",\n".join(f"{json.dumps(name)}: {text}" for name, text in texts.items())
