"""Connections that the server ends while nobody uses them, as a restart does."""

from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from core.config import Config
from core.database.engine import Database
from storefront import create_app
from storefront.extensions import db
from tests.factories import add_product, assert_invariants, at_once

VISITORS = 6

pytestmark = pytest.mark.postgres
on_postgresql = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    made = create_app(config)
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def end_connections(database_url: str) -> Callable[[], int]:
    """Give the way to end every connection to the shop's database; it counts them."""
    address = make_url(database_url).set(drivername="postgresql")

    def end() -> int:
        conninfo = address.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as admin:
            # It waits until they have ended, else the next request might be quicker.
            row = admin.execute(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000))"
                " FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            assert row is not None
            return int(row[0])

    return end


def visit(app: Flask) -> int:
    return app.test_client().get("/").status_code


def check_out(app: Flask, product_id: int) -> int:
    items = [{"product_id": product_id, "quantity": 1}]
    client = app.test_client()
    return client.post("/api/checkout", json={"items": items}).status_code


@on_postgresql
def test_nobody_notices_that_all_connections_were_ended_in_between(
    app: Flask, database: Database, end_connections: Callable[[], int]
) -> None:
    mug = add_product(database, stock_units=VISITORS)
    database.engine.dispose()
    before = at_once([partial(visit, app)] * VISITORS)

    ended = end_connections()
    after = at_once([partial(check_out, app, mug)] * VISITORS)

    assert before == [200] * VISITORS
    assert ended > 1
    assert after == [201] * VISITORS
    assert_invariants(database)


@on_postgresql
def test_the_first_request_after_it_is_answered_every_time(
    app: Flask, end_connections: Callable[[], int]
) -> None:
    answers = []
    for _ in range(5):
        answers.append(visit(app))
        assert end_connections() >= 1

    assert answers == [200] * 5
