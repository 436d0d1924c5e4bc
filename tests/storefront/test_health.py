import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from core.database.engine import Database, connect
from core.scheduler import Scheduler
from core.shop import Shop
from tests.emulator import free_port
from tests.factories import add_product, eventually, reserved

HELP = re.compile(r"# HELP ([a-z_]+) \S.*")
TYPE = re.compile(r"# TYPE ([a-z_]+) (counter|gauge)")
SAMPLE = re.compile(r"([a-z_]+) (-?[0-9]+(?:\.[0-9]+)?)")


@pytest.fixture
def scheduler(app: Flask) -> Iterator[Scheduler]:
    """Give the scheduler of a worker process, running."""
    shop: Shop = app.extensions["shop"]
    started = Scheduler(shop)
    app.extensions["scheduler"] = started
    started.start()
    yield started
    started.stop()


def figures(exposition: str) -> dict[str, float]:
    """Read Prometheus' text format strictly: help, type and sample of each."""
    assert exposition.endswith("\n")
    lines = exposition.splitlines()
    found = {}
    for help_line, type_line, sample_line in zip(*[iter(lines)] * 3, strict=True):
        named, typed = HELP.fullmatch(help_line), TYPE.fullmatch(type_line)
        sample = SAMPLE.fullmatch(sample_line)
        assert named, help_line
        assert typed, type_line
        assert sample, sample_line
        assert named[1] == typed[1] == sample[1]
        found[sample[1]] = float(sample[2])
    return found


def test_a_shop_that_answers_is_alive(client: FlaskClient) -> None:
    response = client.get("/healthz")

    assert response.status_code == 200
    assert response.json == {"status": "ok"}


@pytest.mark.slow
def test_a_shop_with_its_schema_and_scheduler_is_ready(
    client: FlaskClient, scheduler: Scheduler
) -> None:
    eventually(scheduler.is_in_order)

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json == {"status": "ok", "database": "ok", "scheduler": "ok"}


def test_without_a_scheduler_the_shop_is_not_ready(client: FlaskClient) -> None:
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json == {
        "status": "not ready",
        "database": "ok",
        "scheduler": "not running",
    }


@pytest.mark.slow
def test_with_a_stopped_scheduler_the_shop_is_not_ready(
    client: FlaskClient, scheduler: Scheduler
) -> None:
    scheduler.stop()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json
    assert response.json["scheduler"] == "not running"


@pytest.mark.slow
def test_with_another_schema_the_shop_is_not_ready(
    client: FlaskClient, scheduler: Scheduler, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json
    assert response.json["database"] == "not migrated"


@pytest.mark.slow
def test_without_tables_the_shop_is_alive_and_not_ready(
    client: FlaskClient, scheduler: Scheduler, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))

    response = client.get("/readyz")

    assert response.status_code == 503
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////dev/null/voorraad.db",
        f"postgresql+psycopg://shop@127.0.0.1:{free_port()}/shop",
    ],
    ids=["sqlite", "postgres"],
)
def test_a_database_that_is_gone_is_told_from_one_without_a_schema(
    app: Flask, client: FlaskClient, address: str
) -> None:
    gone = connect(address)
    app.extensions["shop"] = replace(app.extensions["shop"], database=gone)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json
    assert response.json["database"] == "unreachable"


def test_the_figures_are_in_prometheus_own_text_format(client: FlaskClient) -> None:
    response = client.get("/metrics")

    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert "version=0.0.4" in response.headers["Content-Type"]
    assert set(figures(response.text).values()) == {0}


def test_the_figures_are_those_of_the_shop(
    client: FlaskClient, database: Database, now: datetime
) -> None:
    mug = add_product(database, stock_units=5)
    reserved(database, {mug: 2}, now, minutes=15)
    reserved(database, {mug: 1}, now, minutes=-1)

    found = figures(client.get("/metrics").text)

    assert found["voorraad_products"] == 1
    assert found["voorraad_stock_units"] == 5
    assert found["voorraad_reserved_units"] == 3
    assert found["voorraad_open_checkouts"] == 2
    assert found["voorraad_overdue_checkouts"] == 1
    assert found["voorraad_orders"] == 0
