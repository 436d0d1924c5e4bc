"""How far a run is, on stderr."""

import shutil
import sys
import time

BAR = 24


class Progress:
    """A bar that is drawn anew in place, or a line a benchmark where nobody watches."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds  # that the whole run is expected to take
        self._done = 0
        self._began = time.monotonic()
        self._is_watched = sys.stderr.isatty()

    def begin(self, name: str) -> None:
        if not self._is_watched:
            sys.stderr.write(f"{self._clock()} {name}\n")

    def end(self, seconds: int) -> None:
        """Count a benchmark as done that was expected to take so long."""
        self._done += seconds
        self.say("")

    def say(self, words: str) -> None:
        if not self._is_watched:
            return
        part = self._done / self._seconds
        full = round(BAR * part)
        bar = "█" * full + "·" * (BAR - full)
        line = f"{bar} {part:4.0%} {self._clock()} {words}"
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{line[:width]:<{width}}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._is_watched:
            sys.stderr.write("\r\x1b[K")

    def _clock(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        return f"{minutes}:{seconds:02}"
