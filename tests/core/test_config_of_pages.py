"""The settings of payment pages and of letters: what is taken, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from core.config import Config, Smtp
from core.errors import ConfigError
from core.payments.offer import DELAYED_METHODS, Offer, ShippingOption

SENDER = "Voorraad <shop@shop.example>"
COUNTRIES = "SHIPPING_COUNTRIES"
SHIPPING = "SHIPPING_OPTIONS"
METHODS = "DELAYED_PAYMENT_METHODS"
DAYS = "DELAYED_PAYMENT_DAYS"


def read(folder: Path, **variables: str) -> Config:
    return Config.from_env({"DATA_DIR": str(folder), **variables})


def refusal_of(folder: Path, **variables: str) -> ConfigError:
    with pytest.raises(ConfigError) as refusal:
        read(folder, **variables)
    return refusal.value


def smtp_of(folder: Path, url: str) -> Smtp | None:
    return read(folder, SMTP_URL=url, MAIL_FROM=SENDER).smtp


def test_without_settings_a_page_asks_for_nothing_but_the_money(tmp_path: Path) -> None:
    config = read(tmp_path)

    assert config.offer == Offer(
        "http://127.0.0.1:8000",
        excluded_methods=DELAYED_METHODS,
        promotion_codes=False,
        shipping_countries=(),
        shipping_options=(),
        asks_phone=False,
        asks_terms=False,
    )
    assert config.delayed_payment_for == timedelta(days=14)
    assert config.smtp is None
    assert config.mail_from == "Voorraad <shop@127.0.0.1>"


def test_a_page_leads_back_to_the_shop(tmp_path: Path) -> None:
    config = read(tmp_path, SHOP_URL="https://shop.example/")

    assert config.offer.shop_url == config.shop_url == "https://shop.example"


@pytest.mark.parametrize(
    ("text", "is_on"),
    [("yes", True), ("Yes", True), (" YES ", True), ("no", False), ("", False)],
)
@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ("PROMOTION_CODES", "promotion_codes"),
        ("ASK_PHONE", "asks_phone"),
        ("ASK_TERMS", "asks_terms"),
    ],
)
def test_what_a_page_may_do_is_switched_by_yes_and_no(
    tmp_path: Path, variable: str, field: str, text: str, *, is_on: bool
) -> None:
    config = read(tmp_path, **{variable: text})

    assert getattr(config.offer, field) is is_on


@pytest.mark.parametrize(
    ("text", "countries"),
    [
        ("NL", ("NL",)),
        ("nl, be ,DE", ("NL", "BE", "DE")),
        (",NL,,", ("NL",)),
        ("ax,nl,ax", ("AX", "NL")),
        (" , ", ()),
    ],
)
def test_goods_are_sent_to_the_countries_that_are_named(
    tmp_path: Path, text: str, countries: tuple[str, ...]
) -> None:
    config = read(tmp_path, SHIPPING_COUNTRIES=text)

    assert config.offer.shipping_countries == countries


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("PostNL=495", [ShippingOption("PostNL", 495)]),
        (
            " PostNL pakket = 495 ,Afhalen=0",
            [ShippingOption("PostNL pakket", 495), ShippingOption("Afhalen", 0)],
        ),
        ("1+1=2 dagen=95", [ShippingOption("1+1=2 dagen", 95)]),
        ("Fiets\N{HOT BEVERAGE}=9999999", [ShippingOption("Fiets\u2615", 9_999_999)]),
        ("a=1,b=2,c=3,d=4,e=5", [ShippingOption("abcde"[i], i + 1) for i in range(5)]),
    ],
)
def test_ways_to_send_goods_have_a_name_and_a_price(
    tmp_path: Path, text: str, options: list[ShippingOption]
) -> None:
    config = read(tmp_path, SHIPPING_OPTIONS=text)

    assert config.offer.shipping_options == tuple(options)


def test_a_delayed_method_is_offered_only_when_it_is_named(tmp_path: Path) -> None:
    config = read(tmp_path, DELAYED_PAYMENT_METHODS="sepa_debit, customer_balance")

    excluded = config.offer.excluded_methods
    assert {*DELAYED_METHODS} - {*excluded} == {"sepa_debit", "customer_balance"}
    assert len(excluded) == len(DELAYED_METHODS) - 2


def test_equal_settings_make_one_offer_in_whatever_order_they_are_named(
    tmp_path: Path,
) -> None:
    one, other = (
        read(tmp_path, DELAYED_PAYMENT_METHODS=names).offer
        for names in ("oxxo,boleto", "boleto,oxxo,oxxo")
    )

    assert one.to_json() == other.to_json()


@pytest.mark.parametrize("text", ["1", "14", "60"])
def test_a_delayed_payment_is_waited_for_so_many_days(
    tmp_path: Path, text: str
) -> None:
    config = read(tmp_path, DELAYED_PAYMENT_DAYS=text)

    assert config.delayed_payment_for == timedelta(days=int(text))


@pytest.mark.parametrize(
    ("url", "smtp"),
    [
        ("smtp://mail.example", ("mail.example", 587, "", "", False)),
        ("smtps://mail.example", ("mail.example", 465, "", "", True)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, "", "", False)),
        ("smtp://[::1]:2525", ("::1", 2525, "", "", False)),
        (
            "smtps://shop%40a.example:p%3A%2F%40ss@mail.example:2465",
            ("mail.example", 2465, "shop@a.example", "p:/@ss", True),
        ),
    ],
)
def test_letters_go_by_the_server_that_is_named(
    tmp_path: Path, url: str, smtp: tuple[str, int, str, str, bool]
) -> None:
    assert smtp_of(tmp_path, url) == Smtp(*smtp)


@pytest.mark.parametrize("sender", ["shop@shop.example", SENDER, '"A, B" <a@b.nl>'])
def test_letters_come_from_whom_the_settings_say(tmp_path: Path, sender: str) -> None:
    config = read(tmp_path, SMTP_URL="smtp://mail.example", MAIL_FROM=sender)

    assert config.mail_from == sender


def test_without_a_sender_letters_come_from_the_shops_own_host(tmp_path: Path) -> None:
    config = read(tmp_path, SHOP_URL="https://shop.example:8443")

    assert config.mail_from == "Voorraad <shop@shop.example>"


def test_a_server_for_letters_needs_a_sender(tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path, SMTP_URL="smtp://mail.example")

    assert refusal.variable == "MAIL_FROM"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        *(
            (name, text)
            for name in ("PROMOTION_CODES", "ASK_PHONE", "ASK_TERMS")
            for text in ("true", "1", "on", "ja", "yes please")
        ),
        *((COUNTRIES, text) for text in ("NLD", "N", "NL;BE", "XX", "UK", "Nederland")),
        *(
            (SHIPPING, text)
            for text in (
                "PostNL",
                "PostNL=",
                "=495",
                " =495",
                "PostNL=4,95",
                "PostNL=4.95",
                "PostNL=-1",
                "PostNL=\u0664",
                "PostNL=99999999",
                "PostNL=495,PostNL=595",
                "a=1,b=1,c=1,d=1,e=1,f=1",
            )
        ),
        *((METHODS, text) for text in ("ideal", "SEPA_DEBIT", "sepa_debit;oxxo")),
        *((DAYS, text) for text in ("0", "61", "-1", "1.5", "two", "nan")),
        *(
            ("MAIL_FROM", text)
            for text in (
                "shop",
                "@shop.example",
                "shop@",
                "<>",
                "a b@c d",
                "Shop\n <a@b.example>",
                "a@b.example\nBcc: c@d.example",
                "a@b.example, c@d.example",
            )
        ),
    ],
)
def test_an_invalid_setting_of_pages_or_letters_is_refused_by_its_name(
    tmp_path: Path, variable: str, text: str
) -> None:
    refusal = refusal_of(tmp_path, **{variable: text})

    assert refusal.variable == variable
    assert str(refusal).startswith(f"{variable}: ")


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://shop:very_private@mail.example",
        "smtp:shop:very_private@mail.example",
        "smtp://",
        "smtp://shop:very_private@",
        "smtp://shop:very_private@:25",
        "smtp://shop:very_private@mail.example:port",
        "smtp://shop:very_private@mail.example:0",
        "smtp://shop:very_private@mail.example:65536",
        "smtp://shop:very_private@[",
        "smtp://shop:1/very_private@mail.example",
        "smtp://shop:1?very_private@mail.example",
        "smtp://shop:1#very_private@mail.example",
    ],
)
def test_an_address_that_is_no_mail_servers_is_refused_without_its_password(
    tmp_path: Path, url: str
) -> None:
    refusal = refusal_of(tmp_path, SMTP_URL=url, MAIL_FROM=SENDER)

    assert refusal.variable == "SMTP_URL"
    assert "very_private" not in str(refusal)
    assert refusal.__context__ is None or "very_private" not in str(refusal.__context__)
