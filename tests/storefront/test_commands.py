import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select, text

from core.catalogue.faults import Fault
from core.clock import utcnow
from core.config import Config
from core.database.engine import Database, connect
from core.errors import CatalogueError, Refusal
from core.models.base import Base
from core.models.catalogue import Product
from core.owner import accounts
from core.stock import ledger
from storefront import create_app
from storefront.commands import refusal_words
from storefront.extensions import db
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    assert_invariants,
    begin,
    levels,
)
from tests.programs import ROOT, environment

Run = Callable[..., Result]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize(
    "database_url",
    [pytest.param("postgres", marks=pytest.mark.postgres)],
    indirect=True,
)
HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price"
TOPS = f"{HEADER}\ntop,Top,Size,S,5,60\ntop,,,M,3,60\n"
BAD = f"{HEADER}\ntop,Top,Size,S,5,60\ntop,,,M,three,60\n"


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command of the shop's in this process."""

    def run(*arguments: object, **options: Any) -> Result:
        words = [str(argument) for argument in arguments]
        return app.test_cli_runner().invoke(args=words, **options)

    return run


@pytest.fixture
def run_with(config: Config) -> Iterator[Run]:
    """Run a command in a shop with other settings, given by name."""
    made: list[Flask] = []

    def run_with(*arguments: str, **settings: Any) -> Result:
        made.append(create_app(replace(config, **settings)))
        return made[-1].test_cli_runner().invoke(args=arguments)

    yield run_with
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def tops(tmp_path: Path) -> Path:
    file = tmp_path / "tops.csv"
    file.write_text(TOPS)
    return file


def flask(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as a person does."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "flask", "--app", str(ROOT / "storefront")),
            *map(str, arguments),
        ],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def everything(database: Database) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with database.read() as session:
        return {
            table.name: [
                tuple(row)
                for row in session.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


def may_log_in(database: Database, email: str, password: str) -> bool:
    return accounts.check_password(database, email, password) is not None


def test_a_file_is_imported_once_however_often_it_is_given(
    run: Run, database: Database, tops: Path
) -> None:
    first = run("import-products", tops)
    before = everything(database)
    second = run("import-products", tops)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "2 products created, 0 updated, 0 unchanged" in first.stdout
    assert "0 products created, 0 updated, 2 unchanged" in second.stdout
    assert everything(database) == before
    assert_invariants(database)


@pytest.mark.slow
def test_a_bad_file_is_refused_in_one_line_with_its_place(
    sqlite_url: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(BAD)

    done = flask(
        "import-products", bad, DATABASE_URL=sqlite_url, DATA_DIR=str(tmp_path)
    )

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert done.stdout == ""
    assert line.startswith(f"Error: {bad}: line 3, column 'Variant Inventory Qty': ")


def test_a_bad_file_changes_nothing_anywhere(
    run: Run, database: Database, tops: Path
) -> None:
    run("import-products", tops)
    before = everything(database)
    tops.write_text(BAD.replace("S,5", "S,9"))

    result = run("import-products", tops)

    assert result.exit_code == 1
    assert everything(database) == before


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"Handle,Title\n", b"\x00" * 99]
)
def test_what_is_no_product_file_is_refused_in_one_line(
    run: Run, tops: Path, content: bytes
) -> None:
    tops.write_bytes(content)

    result = run("import-products", tops)

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert str(tops) in result.stderr


def test_what_a_file_renames_without_skus_waits_until_it_is_said_to_be_other_goods(
    run: Run, tops: Path
) -> None:
    run("import-products", tops)
    tops.write_text(TOPS.replace("S,5", "Small,5"))

    first = run("import-products", tops)
    second = run("import-products", tops, "--different-goods")

    assert first.stdout.splitlines()[:5] == [
        "0 products created, 0 updated, 1 unchanged",
        "Left out by the file; they stay as they are:",
        "  Top \N{EN DASH} S: 5 in stock",
        "NOT taken in: these may be the goods that the file leaves out:",
        "  line 2: Top \N{EN DASH} Small: 5",
    ]
    assert "--different-goods" in first.stdout
    assert second.stdout.startswith("1 products created, 0 updated, 1 unchanged\n")


def test_all_that_is_wrong_with_a_file_is_told_at_once(run: Run, tops: Path) -> None:
    tops.write_text(f"{HEADER}\ntop,Top,Size,S,five,60\ntop,,,M,3,\n")

    result = run("import-products", tops)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"Error: {tops}: 2 faults; nothing was imported",
        "  line 2, column 'Variant Inventory Qty': “five” is not a whole number",
        "  line 3, column 'Variant Price': is blank",
    ]


def test_of_very_many_faults_the_rest_is_counted(run: Run, tops: Path) -> None:
    tops.write_text("\n".join([HEADER, *(f"h{n},T,,,1,x" for n in range(60))]))

    result = run("import-products", tops)

    assert len(result.stderr.splitlines()) == 52
    assert result.stderr.splitlines()[-1] == "  and 10 more"


@pytest.mark.parametrize("language", ["en_GB.UTF-8", "nl_NL.UTF-8"])
def test_a_fault_in_a_row_of_several_lines_is_told_with_both_lines(
    run: Run, tops: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("LANG", language)
    tops.write_text('Handle,Title,Price\na,"A\nB",x\n')

    result = run("import-products", tops)

    expected = {
        "en": "line 3, column 'Price': “x” is not a price like 12.50"
        " (in the row that begins on line 2)",
        "nl": "regel 3, kolom 'Price': “x” is geen prijs zoals 12,50"
        " (in de rij die op regel 2 begint)",
    }
    assert result.stderr == f"Error: {tops}: {expected[language[:2]]}\n"


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_fault_has_words_for_all_that_it_knows(app: Flask, language: str) -> None:
    names = "megabytes other cells columns most text choices name line stock reserved"
    values = dict.fromkeys(names.split(), 7)

    with app.app_context(), force_locale(language):
        for fault in Fault:
            error = CatalogueError([Refusal(fault, values=values)])
            assert refusal_words.told(error)
            assert "%" not in refusal_words.told(error)


def test_what_an_owner_should_know_of_a_file_is_told(run: Run, tops: Path) -> None:
    tops.write_text(
        "Handle,Title,Price,Image Src,SEO Title\n"
        "a,A,0.30,demo/kop.svg,Best\n"
        "b,B,3,gone.jpg,\n"
        "c,C,3,../__init__.py,\n"
        "d,D,3,https://example.org/d.jpg,\n"
    )

    result = run("import-products", tops)

    assert result.stdout == "4 products created, 0 updated, 0 unchanged\n"
    assert result.stderr.splitlines() == [
        "Stripe takes from €0.50 to €999,999.99, so alone these cannot be paid:",
        "  line 2: A: €0.30",
        "Pictures that are not there:",
        "  gone.jpg",
        "  ../__init__.py",
        "1 picture is at another address; a neutral one is shown instead.",
        "Columns that the shop does not know, and does not keep:",
        "  SEO Title",
    ]


def test_what_a_file_renames_is_told_with_both_names(run: Run, tops: Path) -> None:
    header = "Handle,Title,Option1 Name,Option1 Value,SKU,Price"
    tops.write_text(f"{header}\ntop,Top,Size,S,T-S,60\ntop,,,M,T-M,60\n")
    run("import-products", tops)
    tops.write_text(f"{header}\ntop,Top,Size,Small,T-S,60\ntee,Tee,Size,M,T-M,60\n")

    result = run("import-products", tops)

    assert result.stdout.splitlines() == [
        "0 products created, 2 updated, 0 unchanged",
        "Renamed:",
        "  Top \N{EN DASH} S → Top \N{EN DASH} Small",
        "  top: Top \N{EN DASH} M → tee: Tee \N{EN DASH} M",
    ]


def test_a_dutch_terminal_is_spoken_to_in_dutch(
    run: Run, tops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "nl_NL.UTF-8")
    run("import-products", tops)
    tops.write_text(TOPS.replace("M,", "Middel,"))

    result = run("import-products", tops)

    assert "  Top \N{EN DASH} M: 3 op voorraad" in result.stdout.splitlines()


def test_a_file_that_is_not_there_is_a_wrong_call(run: Run, tmp_path: Path) -> None:
    result = run("import-products", tmp_path / "nothing.csv")

    assert result.exit_code == 2
    assert "nothing.csv" in result.stderr


def test_an_export_imported_again_changes_nothing(
    run: Run, database: Database, tops: Path, tmp_path: Path
) -> None:
    run("import-products", tops)
    before = everything(database)
    file = tmp_path / "export.csv"

    exported = run("export-products", file)
    imported = run("import-products", file)

    assert exported.exit_code == 0
    assert "0 products created, 0 updated, 2 unchanged" in imported.stdout
    assert everything(database) == before


def test_an_export_to_the_screen_is_the_file_alone(
    run: Run, tops: Path, tmp_path: Path
) -> None:
    run("import-products", tops)
    run("export-products", tmp_path / "export.csv")

    shown = run("export-products", "-")

    assert shown.stdout_bytes == (tmp_path / "export.csv").read_bytes()


def test_cleaning_up_ends_what_is_due_and_counts(
    app: Flask, run: Run, database: Database, stripe: EmulatorServer
) -> None:
    clock = FakeClock(utcnow())
    shop = app.extensions["shop"] = replace(app.extensions["shop"], clock=clock)
    mug = add_product(database, stock_units=5)
    begin(shop, {mug: 1})
    stripe.pay(begin(shop, {mug: 2}).stripe_session_id)
    clock.advance(minutes=15)

    first, second = run("cleanup-reservations"), run("cleanup-reservations")

    assert first.stdout == "1 expired, 1 confirmed, 0 kept\n"
    assert second.stdout == "0 expired, 0 confirmed, 0 kept\n"
    assert levels(database, mug) == (3, 0)


def test_the_doctor_finds_nothing_in_a_shop_in_order(
    run: Run, database: Database
) -> None:
    add_product(database)

    plain, machine = run("doctor"), run("doctor", "--json")

    assert (plain.exit_code, machine.exit_code) == (0, 0)
    assert json.loads(machine.stdout)["findings"] == []


def drift(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE product SET stock = 9"))


def test_the_doctor_explains_and_ends_with_1(run: Run, database: Database) -> None:
    mug = add_product(database, stock_units=5, name="Mug")
    drift(database)

    plain, machine = run("doctor"), run("doctor", "--json")

    (finding,) = json.loads(machine.stdout)["findings"]
    assert (plain.exit_code, machine.exit_code) == (1, 1)
    assert f"product {mug} (Mug): stock is 9" in plain.stdout
    assert finding["kind"] == "stock"
    assert set(finding) == {"kind", "subject", "explanation"}


def test_the_doctor_repairs_only_when_told_to(run: Run, database: Database) -> None:
    add_product(database, stock_units=5)
    drift(database)

    looked = run("doctor")
    repaired = run("doctor", "--repair", "--json")
    after = run("doctor")

    assert [each.exit_code for each in (looked, repaired, after)] == [1, 0, 0]
    assert len(json.loads(repaired.stdout)["repaired"]) == 1
    assert_invariants(database)


def test_an_owner_is_let_in(run: Run, database: Database) -> None:
    result = run("create-owner", "Ben@shop.example", "--password", "long enough")

    assert result.exit_code == 0
    assert "may log in" in result.stdout
    assert "long enough" not in result.output
    assert may_log_in(database, "ben@shop.example", "long enough")


def test_a_password_is_asked_for_twice(run: Run, database: Database) -> None:
    result = run("create-owner", "ben@shop.example", input="long enough\nlong enough\n")

    assert result.exit_code == 0
    assert "long enough" not in result.output
    assert may_log_in(database, "ben@shop.example", "long enough")


def test_an_owner_gets_a_new_password(run: Run, database: Database) -> None:
    run("create-owner", "ben@shop.example", "--password", "long enough")

    result = run("create-owner", "ben@shop.example", "--password", "even longer")

    assert "has a new password" in result.stdout
    assert may_log_in(database, "ben@shop.example", "even longer")
    assert not may_log_in(database, "ben@shop.example", "long enough")


@pytest.mark.parametrize(
    ("email", "password", "word"),
    [("ben@shop.example", "short", "8 characters"), ("ben", "long enough", "'ben'")],
)
def test_an_owner_that_cannot_be_is_refused_in_one_line(
    run: Run, database: Database, email: str, password: str, word: str
) -> None:
    result = run("create-owner", email, "--password", password)

    assert result.exit_code == 1
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not may_log_in(database, email, password)


@pytest.fixture
def busy(database: Database) -> Iterator[int]:
    """Give a product of which one more unit comes in all the time."""
    mug = add_product(database, stock_units=1)
    booked, over = threading.Event(), threading.Event()

    def book() -> None:
        while not over.is_set():
            database.write(lambda s: ledger.receive(s, mug, 1, now=utcnow()))
            booked.set()

    clerk = threading.Thread(target=book)
    clerk.start()
    try:
        assert booked.wait(20)
        yield mug
    finally:
        over.set()
        clerk.join(20)


@on_sqlite
def test_a_backup_of_a_running_shop_is_whole(
    run: Run, busy: int, tmp_path: Path
) -> None:
    result = run("backup", tmp_path / "copy.db")

    copy = connect(f"sqlite:///{tmp_path / 'copy.db'}")
    with copy.engine.connect() as connection:
        found = connection.scalar(text("PRAGMA integrity_check"))
    assert result.exit_code == 0
    assert found == "ok"
    assert copy.is_migrated()
    assert levels(copy, busy)[0] >= 2
    assert_invariants(copy)
    copy.engine.dispose()


@on_postgresql
def test_a_backup_of_postgresql_is_its_own_programs_work(
    run: Run, tmp_path: Path
) -> None:
    result = run("backup", tmp_path / "copy.db")

    assert result.exit_code == 1
    assert "pg_dump" in result.stderr
    assert not (tmp_path / "copy.db").exists()


@on_sqlite
def test_a_backup_never_takes_the_place_of_a_file(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "copy.db"
    kept.write_text("last week's")

    result = run("backup", kept)

    assert result.exit_code == 1
    assert kept.read_text() == "last week's"


@pytest.mark.slow
def test_migrating_and_seeding_make_a_shop_once(tmp_path: Path) -> None:
    variables = {"DATA_DIR": str(tmp_path / "new" / "data")}
    url = f"sqlite:///{tmp_path}/new/data/voorraad.db"

    migrated = flask("migrate", **variables)
    first = flask("seed", **variables)
    shop = connect(url)
    before = everything(shop)
    second = flask("seed", **variables)

    assert migrated.returncode == first.returncode == second.returncode == 0
    assert everything(shop) == before
    assert "demo catalogue" in first.stdout
    assert second.stdout == first.stdout[first.stdout.index("owner-login: ") :]
    _, email, password = second.stdout.split()
    assert may_log_in(shop, email, password)
    assert_invariants(shop)
    shop.engine.dispose()


def test_the_demo_catalogue_is_worth_a_visit(run: Run, database: Database) -> None:
    run("seed")

    with database.read() as session:
        products = session.scalars(select(Product)).all()
    assert len(products) >= 8
    assert min(product.stock for product in products) >= 5
    assert min(product.price_cents for product in products) >= 100
    assert {product.currency for product in products} == {"eur"}


def test_a_shop_with_products_gets_no_demo_catalogue(
    run: Run, database: Database
) -> None:
    add_product(database)

    run("seed")

    with database.read() as session:
        assert len(session.scalars(select(Product)).all()) == 1


def test_a_password_of_the_owners_own_is_not_printed(
    run_with: Run, config: Config, database: Database
) -> None:
    result = run_with("seed", owner_password="a secret")

    assert result.exit_code == 0
    assert "a secret" not in result.output
    assert "owner-login" not in result.output
    assert may_log_in(database, config.owner_email, "a secret")


def test_a_generated_password_is_for_the_owner_of_the_files_alone(
    run_with: Run, config: Config, database: Database
) -> None:
    config.data_dir.mkdir()

    run_with("seed")

    (kept,) = config.data_dir.glob("owner*")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_live_shop_gets_no_demo_catalogue(
    run_with: Run, config: Config, database: Database
) -> None:
    result = run_with(
        "seed",
        stripe_secret_key="sk_live_shop",
        stripe_api_base=None,
        owner_password="long enough",
    )

    assert result.exit_code == 0
    with database.read() as session:
        assert session.scalars(select(Product)).all() == []
    assert may_log_in(database, config.owner_email, "long enough")


@pytest.mark.parametrize(
    ("password", "word"), [(None, "OWNER_PASSWORD"), ("short", "8 characters")]
)
def test_a_live_shop_makes_up_no_password(
    run_with: Run, config: Config, database: Database, password: str | None, word: str
) -> None:
    result = run_with(
        "seed",
        stripe_secret_key="sk_live_shop",
        stripe_api_base=None,
        owner_password=password,
    )

    assert result.exit_code == 1
    assert word in result.stderr
    with database.read() as session:
        assert not accounts.has_owner(session)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["migrate", "cleanup-reservations"])
def test_a_wrong_environment_ends_in_one_line_that_names_the_variable(
    tmp_path: Path, command: str
) -> None:
    done = flask(command, DATA_DIR=str(tmp_path), RESERVATION_MINUTES="x")

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("Error: RESERVATION_MINUTES: 'x' ")


def test_a_login_that_was_replaced_is_not_told_any_more(
    run: Run, database: Database, config: Config
) -> None:
    config.data_dir.mkdir()
    run("seed")
    run("create-owner", config.owner_email, "--password", "long enough")

    result = run("seed")

    assert result.exit_code == 0
    assert "owner-login" not in result.stdout


def test_the_folder_for_the_generated_password_is_made(
    run_with: Run, config: Config, database: Database
) -> None:
    result = run_with("seed")

    assert result.exit_code == 0
    assert "owner-login: " in result.stdout


def test_a_login_that_cannot_be_told_is_not_made(
    run: Run, database: Database, config: Config
) -> None:
    config.data_dir.touch()

    result = run("seed")

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    with database.read() as session:
        assert not accounts.has_owner(session)


@on_sqlite
@pytest.mark.parametrize(
    "command",
    ["seed", "import-products", "cleanup-reservations", "doctor", "backup", "copy-to"],
)
def test_a_database_without_a_schema_is_told_plainly(
    run_with: Run, tops: Path, tmp_path: Path, command: str
) -> None:
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    files = {
        "import-products": [str(tops)],
        "backup": [str(tmp_path / "copy.db")],
        "copy-to": [f"sqlite:///{tmp_path / 'copy.db'}"],
    }

    result = run_with(command, *files.get(command, []), database_url=empty)

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "migrate" in result.stderr


def test_a_shop_is_copied_with_counts_and_reports_of_both_sides(
    run: Run, database: Database, tmp_path: Path
) -> None:
    add_product(database, stock_units=5)
    add_product(database, stock_units=3)

    result = run("copy-to", f"sqlite:///{tmp_path / 'new.db'}")

    copy = connect(f"sqlite:///{tmp_path / 'new.db'}")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert ["product", "2", "2"] in lines
    assert {line[0] for line in lines} >= {*Base.metadata.tables}
    assert "doctor on the source: all is well\n" in result.stdout
    assert "doctor on the target: all is well\n" in result.stdout
    assert "DATABASE_URL" in result.stdout
    assert everything(copy) == everything(database)
    copy.engine.dispose()


def test_drift_is_told_of_both_sides_of_a_copy(
    run: Run, database: Database, tmp_path: Path
) -> None:
    mug = add_product(database, stock_units=5, name="Mug")
    drift(database)

    result = run("copy-to", f"sqlite:///{tmp_path / 'new.db'}")

    explained = f"product {mug} (Mug): stock is 9, its movements add up to 5"
    assert result.exit_code == 0
    assert f"source: {explained}" in result.stdout
    assert f"target: {explained}" in result.stdout


def test_a_copy_that_differs_ends_with_1(
    run: Run, database: Database, tmp_path: Path
) -> None:
    add_product(database, stock_units=5)
    copy = connect(f"sqlite:///{tmp_path / 'new.db'}")
    copy.migrate()
    with copy.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER lose BEFORE INSERT ON stock_movement"
            " BEGIN SELECT RAISE(IGNORE); END"
        )

    result = run("copy-to", f"sqlite:///{tmp_path / 'new.db'}")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert ["stock_movement", "1", "0"] in lines
    assert "doctor on the target: 1 findings\n" in result.stdout
    assert "differ in stock_movement; the target was left empty\n" in result.stderr
    assert {*map(len, everything(copy).values())} == {0}
    copy.engine.dispose()


def test_a_shop_that_sells_on_is_not_copied(
    run: Run, busy: int, tmp_path: Path
) -> None:
    result = run("copy-to", f"sqlite:///{tmp_path / 'new.db'}")

    copy = connect(f"sqlite:///{tmp_path / 'new.db'}")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert line.startswith("Error: ")
    assert "stop it" in line
    assert result.stdout == ""
    assert {*map(len, everything(copy).values())} == {0}
    copy.engine.dispose()


@pytest.mark.parametrize(
    "address",
    [
        "mysql://shop:s3cret@127.0.0.1/shop",
        "postgresql://shop:s3cret@127.0.0.1:1/shop",  # nobody listens there
        "sqlite:////dev/null/new.db",
    ],
)
def test_a_target_that_cannot_be_is_refused_in_one_line(run: Run, address: str) -> None:
    result = run("copy-to", address)

    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert line.startswith("Error: ")
    assert "s3cret" not in result.output
