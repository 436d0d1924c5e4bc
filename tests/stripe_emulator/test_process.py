"""The emulator as a process: what it refuses, keeps, and leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.emulator import EmulatorServer, free_port, wait_until
from tests.stripe_emulator.conftest import client_for, order

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def run(*options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "stripe_emulator", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "environment", "reason"),
    [
        (["--key", "sk_live_x"], {}, "live key"),
        (["--key", "rk_live_x"], {}, "live key"),
        (["--key", "secret"], {}, "--key must begin"),
        ([], {"STRIPE_SECRET_KEY": "sk_live_x"}, "live key"),
        (["--webhook-url", "https://example.com/hook"], {}, "on this machine"),
    ],
)
def test_it_refuses_to_start(options, environment, reason):
    ended = run("--port", "0", *options, **environment)

    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "sk_live_x" not in ended.stderr


def test_it_explains_itself():
    ended = run("--help")

    assert ended.returncode == 0
    for option in ("--port", "--webhook-url", "--webhook-secret", "--state"):
        assert option in ended.stdout


def test_a_port_that_is_taken_is_told():
    with EmulatorServer() as server:
        ended = run("--port", str(server.port))

    assert ended.returncode == 2
    assert f"port {server.port}" in ended.stderr


def test_it_accepts_one_key_only_when_told_so():
    with EmulatorServer(options=("--key", "sk_test_ours")) as server:
        path = f"{server.url}/v1/events"
        codes = [
            requests.get(path, auth=(key, ""), timeout=5).status_code
            for key in ("sk_test_ours", "sk_test_other")
        ]

    assert codes == [200, 401]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_state_survives_a_restart(tmp_path, end):
    state = tmp_path / "deep" / "state.json"
    port = free_port()
    with EmulatorServer(port=port, state=state) as server:
        sessions = client_for(server.url).v1.checkout.sessions
        made = [sessions.create(order()).id for _ in range(3)]
        server.pay(made[0])
        if end == "kill":
            wait_until(lambda: state.exists() and '"paid"' in state.read_text())
        getattr(server, end)()

        server.start()

        assert [s.id for s in sessions.list().data] == made[::-1]
        assert sessions.retrieve(made[0]).payment_status == "paid"
        assert sessions.expire(made[1]).status == "expired"


def test_a_session_whose_time_passed_during_the_stop_is_expired(tmp_path):
    state = tmp_path / "state.json"
    with EmulatorServer(state=state) as server:
        sessions = client_for(server.url).v1.checkout.sessions
        session = sessions.create(order())
        server.stop()
        state.write_text(state.read_text().replace(str(session.expires_at), "1000"))
        server.start()

        assert sessions.retrieve(session.id).status == "expired"


def test_it_ends_on_a_signal():
    with EmulatorServer() as server:
        assert server.part is not None
        server.part.send_signal(signal.SIGINT)
        assert server.part.wait(10) == 0


def test_it_ends_with_its_parent():
    program = (
        "from tests.emulator import EmulatorServer\n"
        "server = EmulatorServer()\n"
        "server.start()\n"
        "print(server.url, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert requests.get(f"{url}/healthz", timeout=5).json() == {"status": "ok"}
        parent.kill()

    def is_gone():
        try:
            requests.get(f"{url}/healthz", timeout=1)
        except requests.ConnectionError:
            return True
        return False

    wait_until(is_gone, what="the end of the emulator")
