"""What a payment page offers is fixed with the reservation, whatever the settings."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from core import offers
from core.checkout import expiry
from core.config import Config
from core.database.engine import Database, connect
from core.errors import PaymentUnavailableError
from core.models.checkout import StoredOffer
from core.offers import Offers
from core.payments.offer import DELAYED_METHODS, Offer, ShippingOption
from core.shop import Shop
from tests.emulator import EmulatorServer
from tests.factories import (
    FakeClock,
    add_product,
    ask,
    assert_invariants,
    at_once,
    begin,
    form_of,
    levels,
    open_sessions,
)

SHOP_URL = "http://127.0.0.1:8000"
PLAIN = Offer(SHOP_URL)
FULL = Offer(
    "https://shop.example/a",
    excluded_methods=("oxxo", "boleto"),
    promotion_codes=True,
    shipping_countries=("NL", "BE"),
    shipping_options=(
        ShippingOption("Brievenbus \N{EURO SIGN} “klein”", 395),
        ShippingOption("Afhalen", 0),
    ),
    asks_phone=True,
    asks_terms=True,
)


def creates(stripe: EmulatorServer) -> list[dict[str, Any]]:
    calls = stripe.requests("/v1/checkout/sessions")
    return [call for call in calls if call["method"] == "POST"]


def started_again(
    shop: Shop, config: Config, settings: Mapping[str, str], clock: FakeClock
) -> Shop:
    """Start the shop once more on its database, with other settings."""
    environ = {
        "DATABASE_URL": config.database_url,
        "DATA_DIR": str(config.data_dir),
        "SECRET_KEY": config.secret_key,
        "CRON_SECRET": config.cron_secret,
        "STRIPE_SECRET_KEY": config.stripe_secret_key,
        "STRIPE_WEBHOOK_SECRET": config.stripe_webhook_secret,
        "STRIPE_API_BASE": config.stripe_api_base or "",
        **settings,
    }
    opened = Shop.open(Config.from_env(environ), on=shop.database)
    return replace(opened, clock=clock)


@pytest.mark.parametrize("offer", [PLAIN, FULL, Offer(SHOP_URL, ())])
def test_an_offer_comes_back_as_it_was_kept(offer: Offer) -> None:
    assert Offer.from_json(offer.to_json()) == offer


def test_equal_offers_are_equal_texts_and_others_are_not() -> None:
    assert PLAIN.to_json() == Offer(SHOP_URL).to_json()
    assert PLAIN.to_json() != replace(PLAIN, asks_phone=True).to_json()


def test_an_offer_is_kept_once_however_many_processes_keep_it(
    database: Database, database_url: str, now: datetime
) -> None:
    others = [connect(database_url) for _ in range(4)]

    numbers = at_once(
        [lambda each=each: Offers().id_of(each, FULL, now=now) for each in others]  # type: ignore[misc]  # a default binds it
    )
    for each in others:
        each.engine.dispose()

    assert len(set(numbers)) == 1
    assert ask(database, lambda s: len(s.scalars(select(StoredOffer)).all())) == 1


def test_each_offer_has_a_number_of_its_own(database: Database, now: datetime) -> None:
    kept = Offers()

    plain, full, again = (
        kept.id_of(database, each, now=now) for each in (PLAIN, FULL, PLAIN)
    )

    assert plain == again != full
    assert ask(database, lambda s: offers.offer_of(s, plain)) == PLAIN
    assert ask(database, lambda s: offers.offer_of(s, full)) == FULL


def test_a_checkout_from_before_there_were_offers_has_none(
    database: Database,
) -> None:
    assert ask(database, lambda s: offers.offer_of(s, None)) is None


def test_a_page_asks_for_what_the_settings_say(
    shop: Shop, stripe: EmulatorServer, config: Config, clock: FakeClock
) -> None:
    settings = {
        "PROMOTION_CODES": "yes",
        "SHIPPING_COUNTRIES": "NL",
        "SHIPPING_OPTIONS": "PostNL=495,Afhalen=0",
        "ASK_PHONE": "yes",
        "ASK_TERMS": "yes",
        "DELAYED_PAYMENT_METHODS": ",".join(DELAYED_METHODS),
    }
    other = started_again(shop, config, settings, clock)

    begin(other, {add_product(shop.database): 1})

    form = form_of(creates(stripe)[0])
    assert form["allow_promotion_codes"] == "true"
    assert form["shipping_address_collection[allowed_countries][0]"] == "NL"
    rate = "shipping_options[0][shipping_rate_data]"
    assert form[f"{rate}[display_name]"] == "PostNL"
    assert form[f"{rate}[fixed_amount][amount]"] == "495"
    assert form[f"{rate}[fixed_amount][currency]"] == "eur"
    assert form["shipping_options[1][shipping_rate_data][fixed_amount][amount]"] == "0"
    assert form["phone_number_collection[enabled]"] == "true"
    assert form["consent_collection[terms_of_service]"] == "required"
    assert not any(name.startswith("excluded_payment_method") for name in form)


@pytest.mark.parametrize(
    "settings",
    [
        {"PROMOTION_CODES": "yes"},
        {"SHOP_URL": "https://other.example"},
        {"SHIPPING_COUNTRIES": "NL,BE", "SHIPPING_OPTIONS": "PostNL=495"},
        {"DELAYED_PAYMENT_METHODS": "sepa_debit"},
        {"ASK_PHONE": "yes", "RESERVATION_MINUTES": "5"},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_a_second_try_after_a_restart_with_other_settings_sends_the_same_bytes(
    shop: Shop,
    stripe: EmulatorServer,
    config: Config,
    clock: FakeClock,
    settings: dict[str, str],
) -> None:
    mug = add_product(shop.database)
    stripe.fault("create", "drop_after", times=0)
    with pytest.raises(PaymentUnavailableError):
        begin(shop, {mug: 2})
    before = creates(stripe)
    stripe.control("faults/clear")
    clock.advance(minutes=16)

    sweep = expiry.expire_due(started_again(shop, config, settings, clock))

    after = creates(stripe)[len(before) :]
    assert len(after) == 1
    for name in ("Idempotency-Key", "Stripe-Version"):
        assert after[0]["headers"][name] == before[0]["headers"][name]
    assert after[0]["body"] == before[0]["body"]
    assert (sweep.expired, sweep.kept) == (1, 0)
    assert open_sessions(stripe) == []
    assert levels(shop.database, mug) == (5, 0)
    assert_invariants(shop.database)
