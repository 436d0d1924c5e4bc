"""`python -m stripe_emulator`: the emulator as a process of its own."""

import argparse
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from stripe_emulator.emulator import Emulator
from stripe_emulator.webhooks.posting import is_local

_SET_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_STOP_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for key in (options.key, os.environ.get("STRIPE_SECRET_KEY")):
        if key and "_live_" in key:
            return _refuse("a live key was given: real money has no place here")
    if options.key and not options.key.startswith(("sk_test_", "rk_test_")):
        return _refuse("--key must begin with sk_test_ or rk_test_")
    if options.webhook_url and not is_local(options.webhook_url):
        return _refuse("--webhook-url must be http:// on this machine (127.0.0.1)")
    if options.end_with_parent and not _end_with_parent(options.end_with_parent):
        return 0
    emulator = Emulator(
        state=options.state, key=options.key, delay_seconds=options.delay_ms / 1000
    )
    emulator.send_webhooks(options.webhook_url, options.webhook_secret)
    return _run(emulator, options.port)


def _run(emulator: Emulator, port: int) -> int:
    # Block the signals in every thread and wait for them here. A handler that sets an
    # Event can deadlock with the thread that waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    # The account only grows, and a full collection of it would make calls wait.
    gc.set_threshold(10_000, 10, 1_000)
    try:
        address = emulator.start(port)
    except OSError:
        return _refuse(f"cannot listen on port {port}")
    _say(f"Stripe emulator on {address} (test only, no real money)")
    signal.sigwait(_ENDING)
    # A call that hangs must not keep the process alive.
    last_resort = threading.Timer(_STOP_SECONDS, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()
    emulator.stop()
    gc.freeze()  # the interpreter need not collect the account at exit
    return 0


def _end_with_parent(parent: int) -> bool:
    """Ask the kernel for SIGTERM when *parent* ends; False if it already has."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    return os.getppid() == parent


def _refuse(reason: str) -> int:
    sys.stderr.write(f"stripe_emulator: {reason}\n")
    return 2


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stripe_emulator",
        description="A stand-in for Stripe Checkout on 127.0.0.1, for demo and tests.",
        epilog="Point the shop at it with STRIPE_API_BASE and any sk_test_ key.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8420, help="0 picks a free one (default: 8420)")
    add("--webhook-url", metavar="URL", help="where events go; without: nowhere")
    add("--webhook-secret", metavar="SECRET", default="", help="signs the events")
    add("--state", metavar="FILE", type=Path, help="keeps all over a restart")
    add("--key", metavar="KEY", help="accept this test key only (default: any)")
    add("--delay-ms", metavar="N", type=float, default=0, help="delay of each answer")
    add(
        "--end-with-parent",
        metavar="PID",
        type=int,
        help="end when the process PID, which started this one, ends",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
