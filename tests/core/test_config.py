from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.config import Config, Limits, Vat
from core.database.engine import connect
from core.errors import ConfigError
from tests.programs import run_together

LIVE = {
    "STRIPE_SECRET_KEY": "sk_live_shop",
    "SECRET_KEY": "secret",
    "SHOP_URL": "https://shop.example",
    "DATABASE_URL": "postgresql+psycopg://shop@db.example/shop",
    "STRIPE_WEBHOOK_SECRET": "whsec_live",
    "CRON_SECRET": "cron",
}
KEPT = ("SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "CRON_SECRET")
STARTED_AT_ONCE = 4


def read(folder: Path, **variables: str) -> Config:
    return Config.from_env({"DATA_DIR": str(folder), **variables})


def refused_variable(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as refusal:
        Config.from_env(environ)
    assert str(refusal.value).startswith(f"{refusal.value.variable}: ")
    return refusal.value.variable


@pytest.mark.parametrize(
    ("given", "held_to"),
    [
        ("https://shop.example/", "https://shop.example"),
        ("HTTPS://Shop.Example:443", "https://shop.example"),
        ("http://shop.example:8080", "http://shop.example:8080"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://my_shop:8000", "http://my_shop:8000"),
    ],
)
def test_the_shops_address_is_written_as_browsers_write_it(
    tmp_path: Path, given: str, held_to: str
) -> None:
    assert read(tmp_path, SHOP_URL=given).shop_url == held_to


def test_an_empty_environment_is_a_demo(tmp_path: Path) -> None:
    config = read(tmp_path)

    assert config.is_demo
    assert not config.is_live
    assert config.stripe_secret_key == "sk_test_demo"
    assert config.stripe_api_base == "http://127.0.0.1:8420"
    assert config.database_url == f"sqlite:///{tmp_path}/voorraad.db"
    assert config.shop_url == "http://127.0.0.1:8000"
    assert (config.storefront_port, config.dashboard_port) == (8000, 8501)
    assert config.stripe_emulator_port == 8420
    assert config.hold_for == timedelta(minutes=15)
    assert config.cleanup_interval_seconds == 5
    assert config.owner_email == "owner@localhost"
    assert config.owner_password is None


def test_without_limits_in_the_environment_nobody_can_hold_everything(
    tmp_path: Path,
) -> None:
    limits = read(tmp_path).limits

    assert limits == Limits()
    assert limits.quantity_per_product == 0
    assert (limits.holds_per_visitor, limits.holds_per_address) == (3, 40)
    assert (limits.share_per_address, limits.unpaid_holds) == (50, 3)
    assert limits.checkouts_per_minute >= 30
    assert not limits.counts_loopback


def test_without_data_dir_the_folder_is_var(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    config = Config.from_env({})

    assert config.data_dir == tmp_path / "var"


def test_everything_that_is_set_is_taken(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        SECRET_KEY="secret",
        SHOP_URL="https://shop.example/",
        STOREFRONT_PORT="8001",
        DASHBOARD_PORT="8002",
        STRIPE_EMULATOR_PORT="8003",
        STRIPE_SECRET_KEY="sk_test_shop",
        STRIPE_WEBHOOK_SECRET="whsec_shop",
        CLEANUP_INTERVAL_SECONDS="60",
        CRON_SECRET="cron",
        OWNER_EMAIL="marijke@shop.example",
        OWNER_PASSWORD="a long one",
    )

    assert (config.secret_key, config.cron_secret) == ("secret", "cron")
    assert config.shop_url == "https://shop.example"
    assert (config.storefront_port, config.dashboard_port) == (8001, 8002)
    assert config.stripe_emulator_port == 8003
    assert config.stripe_secret_key == "sk_test_shop"
    assert config.stripe_webhook_secret == "whsec_shop"
    assert config.cleanup_interval_seconds == 60
    assert config.owner_email == "marijke@shop.example"
    assert config.owner_password == "a long one"


def test_limits_are_taken_by_name(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        MAX_QUANTITY_PER_PRODUCT="1",
        MAX_HOLDS_PER_VISITOR="2",
        MAX_HOLDS_PER_ADDRESS="3",
        MAX_SHARE_PER_ADDRESS="4",
        MAX_UNPAID_HOLDS="5",
        MAX_CHECKOUTS_PER_MINUTE="0",
    )

    assert config.limits == Limits(1, 2, 3, 4, 5, 0, counts_loopback=True)


def test_a_limit_of_0_by_address_counts_no_loopback_address(tmp_path: Path) -> None:
    assert not read(tmp_path, MAX_HOLDS_PER_ADDRESS="0").limits.counts_loopback


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    config = read(tmp_path, STOREFRONT_PORT="", STRIPE_SECRET_KEY="", DATABASE_URL=" ")

    assert config.storefront_port == 8000
    assert config.is_demo


def test_the_demo_finds_the_emulator_at_its_port(tmp_path: Path) -> None:
    config = read(tmp_path, STRIPE_EMULATOR_PORT="9420")

    assert config.stripe_api_base == "http://127.0.0.1:9420"


def test_a_test_key_goes_to_stripe_itself(tmp_path: Path) -> None:
    config = read(tmp_path, STRIPE_SECRET_KEY="sk_test_shop")

    assert config.stripe_api_base is None
    assert not config.is_demo


def test_a_test_key_may_go_elsewhere(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        STRIPE_SECRET_KEY="sk_test_shop",
        STRIPE_API_BASE="http://127.0.0.1:9999/",
    )

    assert config.stripe_api_base == "http://127.0.0.1:9999"


@pytest.mark.parametrize(
    ("text", "minutes"), [("0.05", 0.05), ("15", 15), ("1380", 1380), ("1e1", 10)]
)
def test_a_hold_may_last_from_three_seconds_to_almost_a_day(
    tmp_path: Path, text: str, minutes: float
) -> None:
    config = read(tmp_path, RESERVATION_MINUTES=text)

    assert config.hold_for == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["1", "3600"])
def test_a_sweep_may_come_every_second_to_every_hour(tmp_path: Path, text: str) -> None:
    config = read(tmp_path, CLEANUP_INTERVAL_SECONDS=text)

    assert config.cleanup_interval_seconds == int(text)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        *(
            ("RESERVATION_MINUTES", text)
            for text in ("0", "-1", "0.049", "nan", "inf", "-inf", "1e9", "x", "1381")
        ),
        *(
            ("CLEANUP_INTERVAL_SECONDS", text)
            for text in ("0", "-1", "3601", "1.5", "x", "9" * 30, "\u0665")
        ),
        *(
            (name, text)
            for name in ("STOREFRONT_PORT", "DASHBOARD_PORT", "STRIPE_EMULATOR_PORT")
            for text in ("0", "65536", "-1", "http")
        ),
        *(
            (name, text)
            for name in (
                "MAX_QUANTITY_PER_PRODUCT",
                "MAX_HOLDS_PER_VISITOR",
                "MAX_HOLDS_PER_ADDRESS",
                "MAX_CHECKOUTS_PER_MINUTE",
            )
            for text in ("-1", "1.5", "many")
        ),
        *(
            ("SHOP_URL", text)
            for text in (
                *("shop.example", "ftp://a", "http://", "/a", "http://["),
                *("https://shop.example/a", "https://shop.example/?a=1"),
                *("https://shop.example#a", "https://a:b@shop.example", "http://a_ö"),
            )
        ),
        *(("STRIPE_API_BASE", text) for text in ("127.0.0.1:8420", "http://a:port")),
        *(
            ("DATABASE_URL", text)
            for text in ("sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://a/b")
        ),
        *(
            ("DATABASE_URL", text)
            for text in ("postgresql://a:port/b", "postgresql+psycopg://a:port/b")
        ),
        *(
            ("DATABASE_URL", f"postgresql://shop@/shop?{query}")
            for query in ("host=a:port&host=b:1", "host=a&host=b&port=1", "sslmod=no")
        ),
        *(("OWNER_EMAIL", text) for text in ("owner", "a b@c", "@c", "a@")),
        *(
            ("STRIPE_SECRET_KEY", text)
            for text in ("pk_test_1", "pk_live_1", "sk_test_", "sk_other_1", "whsec_1")
        ),
    ],
)
def test_an_invalid_setting_is_refused_by_its_name(
    tmp_path: Path, variable: str, text: str
) -> None:
    environ = {"DATA_DIR": str(tmp_path), variable: text}

    assert refused_variable(environ) == variable


@pytest.mark.parametrize(
    ("key", "is_live"),
    [
        ("sk_test_1", False),
        ("rk_test_1", False),
        ("sk_live_1", True),
        ("rk_live_1", True),
    ],
)
def test_secret_and_restricted_keys_are_taken(key: str, is_live: bool) -> None:
    config = Config.from_env({**LIVE, "STRIPE_SECRET_KEY": key})

    assert config.is_live is is_live
    assert not config.is_demo


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_a_live_key_goes_nowhere_but_to_stripe(key: str) -> None:
    environ = {**LIVE, "STRIPE_SECRET_KEY": key, "STRIPE_API_BASE": "http://127.0.0.1"}

    assert refused_variable(environ) == "STRIPE_API_BASE"


@pytest.mark.parametrize("missing", sorted(LIVE.keys() - {"STRIPE_SECRET_KEY"}))
def test_with_a_live_key_what_is_missing_stops_the_start(missing: str) -> None:
    environ = {name: text for name, text in LIVE.items() if name != missing}

    assert refused_variable(environ) == missing


def test_with_a_live_key_nothing_is_made_up(tmp_path: Path) -> None:
    Config.from_env({**LIVE, "DATA_DIR": str(tmp_path / "data")})

    assert not (tmp_path / "data").exists()


def test_a_refusal_does_not_show_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, STRIPE_SECRET_KEY="pk_live_very_private")

    assert "very_private" not in str(refusal.value)


def test_generated_secrets_are_kept_for_the_next_start(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)

    assert first == second
    assert len({first.secret_key, first.cron_secret, first.stripe_webhook_secret}) == 3
    assert len(first.secret_key) >= 32


def test_generated_secrets_are_for_the_owner_of_the_files_alone(tmp_path: Path) -> None:
    read(tmp_path)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert modes == {name.lower().replace("_", "-"): 0o600 for name in KEPT}


@pytest.mark.slow
def test_programs_that_start_at_once_have_the_same_secrets(tmp_path: Path) -> None:
    answers = run_together(
        "import os; from core.config import Config",
        "c = Config.from_env(os.environ);"
        "print(c.secret_key, c.cron_secret, c.stripe_webhook_secret)",
        count=STARTED_AT_ONCE,
        DATA_DIR=str(tmp_path / "new"),
    )

    assert len(set(answers)) == 1
    assert len(answers[0].split()) == 3
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_a_data_dir_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    assert refused_variable({"DATA_DIR": str(in_the_way / "data")}) == "DATA_DIR"


def test_a_relative_sqlite_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    config = read(tmp_path, DATABASE_URL="sqlite:///shops/one.db")

    assert config.database_url == f"sqlite:///{tmp_path}/shops/one.db"


def test_an_absolute_sqlite_path_stays_as_it_is(tmp_path: Path) -> None:
    config = read(tmp_path, DATABASE_URL="sqlite:////srv/shop.db")

    assert config.database_url == "sqlite:////srv/shop.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_by_psycopg(tmp_path: Path, scheme: str) -> None:
    rest = "shop:a%40b@db.example:5433/shop?sslmode=require"

    config = read(tmp_path, DATABASE_URL=f"{scheme}://{rest}")

    assert config.database_url == f"postgresql+psycopg://{rest}"


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", "read-write"), ("&target_session_attrs=primary", "primary")],
)
def test_of_several_postgresql_servers_the_one_that_takes_writes_is_used(
    tmp_path: Path, asked: str, given: str
) -> None:
    hosts = "host=one.example:5432&host=two.example:5433"

    config = read(tmp_path, DATABASE_URL=f"postgresql://shop@/shop?{hosts}{asked}")

    url = make_url(config.database_url)
    _, options = url.get_dialect()().create_connect_args(url)
    assert options == {
        "host": "one.example,two.example",
        "port": "5432,5433",
        "user": "shop",
        "dbname": "shop",
        "target_session_attrs": given,
    }


def test_the_only_postgresql_server_may_be_any(tmp_path: Path) -> None:
    config = read(tmp_path, DATABASE_URL="postgresql://shop@db.example/shop")

    assert config.database_url == "postgresql+psycopg://shop@db.example/shop"


@pytest.mark.parametrize(
    "rest",
    ["@db.example:port/shop", "@db.example/shop?sslmod=no", "@/shop?host=a:b&host=c"],
)
def test_a_refusal_does_not_show_the_password(tmp_path: Path, rest: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, DATABASE_URL=f"postgresql://shop:very_private{rest}")

    assert "very_private" not in str(refusal.value)


@pytest.mark.parametrize("folder", ["a?b", "50%41", "a#b", "a b+c", "ä", "a@b:c"])
def test_the_database_is_in_the_data_folder_whatever_its_name(
    tmp_path: Path, folder: str
) -> None:
    place = tmp_path / folder
    config = read(place)

    database = connect(config.database_url)
    database.migrate()
    database.engine.dispose()

    assert (place / "voorraad.db").exists()
    again = read(place, DATABASE_URL=config.database_url)
    assert again.database_url == config.database_url


def test_a_path_that_would_be_cut_off_is_refused(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/a?b/shop.db"}

    assert refused_variable(environ) == "DATABASE_URL"


@pytest.mark.parametrize(
    ("text", "rate"), [("", 2100), ("9", 900), ("6,5", 650), ("0", 0), ("21%", 2100)]
)
def test_the_rate_of_vat_is_a_number_of_per_cent(
    tmp_path: Path, text: str, rate: int
) -> None:
    assert read(tmp_path, VAT_PERCENT=text).vat == Vat(default_bp=rate)


@pytest.mark.parametrize("text", ["-1", "0.21", "101", "high", "9.555"])
def test_a_rate_of_vat_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    environ = {"DATA_DIR": str(tmp_path), "VAT_PERCENT": text}

    assert refused_variable(environ) == "VAT_PERCENT"


def test_a_shop_may_be_exempt_from_vat(tmp_path: Path) -> None:
    config = read(tmp_path, VAT_EXEMPT="yes")

    assert config.vat.is_exempt
    assert config.vat.rate(900) == 0
    assert config.offer.is_vat_exempt
