import re

import pytest
import requests

from stripe_emulator.hosted_page.words import WORDS, price
from tests.stripe_emulator.conftest import order

PAYER = {"email": "a@example.com", "name": "A Customer"}


@pytest.fixture
def session(sessions):
    message = "You have 15 minutes."
    return sessions.create(order(custom_text={"submit": {"message": message}}))


def page(session_url, language="en"):
    headers = {"Accept-Language": language}
    return requests.get(session_url, headers=headers, timeout=10)


def press(session_url, action="pay", method="card", **form):
    data = {"action": action, "method": method, **PAYER, **form}
    return requests.post(session_url, data, timeout=10, allow_redirects=False)


def test_the_page_shows_what_is_paid(session):
    text = page(session.url).text

    assert "<title>Pay \N{EN DASH} Stripe (test)</title>" in text
    assert "Test \N{EN DASH} no real money" in text
    assert "Mug" in text
    assert "€25.90" in text
    assert "You have 15 minutes." in text
    for name in ("pay", "decline", "back", "email", "name", "method-sepa_debit"):
        assert f'id="{name}"' in text


def test_every_field_has_a_label(session):
    text = page(session.url).text

    fields = set(re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', text))

    assert fields == set(re.findall(r'<label[^>]* for="([^"]+)"', text))
    assert len(fields) == 5


def test_the_page_speaks_the_language_of_the_session(sessions):
    text = page(sessions.create(order(locale="nl")).url).text

    assert '<html lang="nl">' in text
    assert "Test \N{EN DASH} geen echt geld" in text
    assert "€\N{NO-BREAK SPACE}25,90" in text


@pytest.mark.parametrize(("browser", "language"), [("nl-BE", "nl"), ("fr", "en")])
def test_without_a_locale_the_browser_decides(session, browser, language):
    assert f'<html lang="{language}">' in page(session.url, browser).text


def test_both_languages_say_everything():
    assert WORDS["nl"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize(
    ("amount", "currency", "language", "text"),
    [
        (123_456, "eur", "nl", "€\N{NO-BREAK SPACE}1.234,56"),
        (123_456, "eur", "en", "€1,234.56"),
        (1_234, "jpy", "en", "JPY 1,234"),
        (5, "chf", "nl", "CHF\N{NO-BREAK SPACE}0,05"),
    ],
)
def test_prices_are_written_as_usual(amount, currency, language, text):
    assert price(amount, currency, language) == text


def test_paying_leads_to_the_shop_after_its_answer(session, sessions, shop):
    answer = press(session.url)

    assert answer.status_code == 303
    assert answer.headers["Location"] == (
        f"http://127.0.0.1:9/success?session_id={session.id}"
    )
    assert shop.events("checkout.session.completed")
    assert sessions.retrieve(session.id).customer_details.email == "a@example.com"


def test_the_session_keeps_the_placeholder_of_its_address(session):
    assert session.success_url.endswith("{CHECKOUT_SESSION_ID}")


def test_a_declined_payment_says_so_and_can_be_repeated(session, sessions):
    answer = press(session.url, "decline")

    assert answer.status_code == 200
    assert "declined. Nothing was charged" in answer.text
    assert sessions.retrieve(session.id).status == "open"
    assert press(session.url).status_code == 303


@pytest.mark.parametrize("form", [{"email": "nobody"}, {"name": " "}])
def test_an_incomplete_form_pays_nothing(session, sessions, form):
    answer = press(session.url, **form)

    assert answer.status_code == 400
    assert "valid e-mail address" in answer.text
    assert sessions.retrieve(session.id).status == "open"


def test_an_excluded_method_is_not_shown(sessions):
    excluded = {"excluded_payment_method_types": ["sepa_debit"]}
    session = sessions.create(order(**excluded))

    assert "sepa_debit" not in page(session.url).text
    assert press(session.url, method="sepa_debit").status_code == 400


def test_a_delayed_payment_is_settled_on_its_page(session, sessions):
    assert press(session.url, method="sepa_debit").status_code == 303
    assert 'id="succeed"' in page(session.url).text

    press(session.url, "succeed")

    assert sessions.retrieve(session.id).payment_status == "paid"
    assert "has been paid" in page(session.url).text


def test_a_delayed_payment_that_fails_is_told(session):
    press(session.url, method="sepa_debit")
    press(session.url, "fail")

    assert "refused the payment" in page(session.url).text


def test_an_expired_page_says_that_nothing_was_charged(session, sessions):
    sessions.expire(session.id)

    shown, pressed = page(session.url), press(session.url)

    assert "expired. Nothing was charged." in shown.text
    assert pressed.status_code == 409
    assert "expired. Nothing was charged." in pressed.text


def test_a_paid_page_cannot_be_paid_again(session):
    press(session.url)

    assert "has been paid" in page(session.url).text
    assert press(session.url).status_code == 409


def test_an_unknown_page_is_a_404(url):
    answer = page(f"{url}/c/pay/cs_test_nobody")

    assert answer.status_code == 404
    assert "no such payment page" in answer.text


def test_a_name_with_markup_is_only_text(sessions):
    data = {"currency": "eur", "unit_amount": 100}
    data["product_data"] = {"name": "<b>Mug</b>"}
    session = sessions.create(order(line_items=[{"price_data": data, "quantity": 1}]))

    assert "&lt;b&gt;Mug&lt;/b&gt;" in page(session.url).text


def test_the_policy_lets_the_form_lead_to_the_shop(session):
    policy = page(session.url).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:9" in policy


def test_the_overview_links_to_the_payments(session, url):
    text = page(url).text

    assert f'href="/c/pay/{session.id}"' in text


def test_an_address_is_asked_for_when_goods_are_shipped(sessions):
    wanted = {"shipping_address_collection": {"allowed_countries": ["NL", "BE"]}}
    session = sessions.create(order(**wanted))
    address = {"line1": "Teststraat 1", "city": "Teststad", "country": "NL"}

    press(session.url, **address, postal_code="1234 AB")

    found = sessions.retrieve(session.id).collected_information.shipping_details
    assert (found.name, found.address.city) == ("A Customer", "Teststad")
