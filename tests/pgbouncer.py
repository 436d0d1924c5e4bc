"""A real PgBouncer in transaction mode, between the shop and PostgreSQL."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from tests.factories import eventually
from tests.postgres import free_port, unprivileged

CLIENTS = 100
STOP_SECONDS = 10


def program() -> str | None:
    """Return PgBouncer, which Debian puts where only root looks for programs."""
    places = (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin")
    return shutil.which("pgbouncer", path=os.pathsep.join(places))


@contextmanager
def pooler(folder: Path, server: str, *, connections: int) -> Iterator[int]:
    """
    Let clients share a few *connections* to each database of a *server*.

    It hands a connection to another client after every transaction. Yields its port, at
    which every database has the name that it has on the server.
    """
    found, port = program(), free_port()
    assert found is not None
    settings = folder / "pgbouncer.ini"
    settings.write_text(_settings(server, port, connections))
    with (folder / "pgbouncer.log").open("wb") as log:
        part = subprocess.Popen(
            [
                *unprivileged(),  # it refuses to run as root, too
                *("setpriv", "--pdeathsig", "INT", "--"),
                *(found, str(settings)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(part, port, log=folder / "pgbouncer.log")
        yield port
    finally:
        part.send_signal(signal.SIGTERM)  # without waiting for its clients
        part.wait(STOP_SECONDS)


def _settings(server: str, port: int, connections: int) -> str:
    url = make_url(server)
    return f"""
        [databases]
        * = host={url.host} port={url.port} user={url.username}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = {connections}
        max_client_conn = {CLIENTS}
    """.replace(" " * 8, "")


def _wait_for(part: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
    def answers() -> bool:
        assert part.poll() is None, log.read_text()
        with suppress(psycopg.OperationalError):
            where = f"host=127.0.0.1 port={port} user=any dbname=postgres"
            psycopg.connect(where, connect_timeout=5).close()
            return True
        return False

    eventually(answers)
