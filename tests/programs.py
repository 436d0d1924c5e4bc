"""Python programs in processes of their own, let go at the same moment."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run_together(
    imports: str, work: str, *arguments: str, count: int, **variables: str
) -> list[str]:
    """
    Run *imports*, then all at once *work*, in *count* processes; return what they say.

    What they say on stderr, a traceback above all, is a failure.
    """
    program = f"import sys; {imports}; print(flush=True); sys.stdin.readline(); {work}"
    parts = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for part in parts:
        assert part.stdout is not None
        part.stdout.readline()
    answers = [part.communicate("go\n", timeout=PATIENCE_SECONDS) for part in parts]
    assert [errors for _, errors in answers] == [""] * count
    return [answer.strip() for answer, _ in answers]
