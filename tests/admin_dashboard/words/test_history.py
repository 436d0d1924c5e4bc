"""Every step that the shop writes has words, and a reason that an owner understands."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from admin_dashboard.words import history as history_words
from core.checkout.closing import Ending
from core.checkout.events import OF_INTEREST
from core.models.checkout import STATUSES
from core.models.mail import MAIL_KINDS
from core.owner.history import Step
from core.refunds import owed, refunds

CORE = Path(__file__).resolve().parents[3] / "core"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def told_causes() -> set[str]:
    """Return the causes that the rules and workflows name in their calls."""
    calls = (
        node
        for room in ("checkout", "stock")
        for path in (CORE / room).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    )
    return {
        value.value
        for call in calls
        for value in named_causes(call)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def named_causes(call: ast.Call) -> Iterator[ast.expr]:
    yield from (each.value for each in call.keywords if each.arg == "cause")
    if isinstance(call.func, ast.Name) and call.func.id == "Closed":
        yield from call.args[1:]


@pytest.mark.parametrize("what", [*OF_INTEREST, *STATUSES[1:]])
def test_every_event_and_ending_has_words(what: str):
    assert history_words.what_of(Step(NOW, what)) != what


@pytest.mark.parametrize("kind", MAIL_KINDS)
@pytest.mark.parametrize("beginning", ["MAILED", "MAIL_FAILED", "MAIL_IN_DOUBT"])
def test_every_letter_has_words(beginning: str, kind: str):
    what = f"{beginning}_{kind}"

    assert history_words.what_of(Step(NOW, what)) != what


def test_every_step_that_history_names_has_words():
    history = (CORE / "owner" / "history.py").read_text()
    named = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', history))

    assert {"PAGE_MADE", "UNITS_RETURNED", "REFUND_DONE", "TICKED_OFF"} <= named
    assert named <= history_words.WHAT.keys()


def test_every_cause_that_core_names_has_words():
    causes = told_causes()

    assert "closed at Stripe" in causes
    assert causes <= history_words.CAUSES.keys()


@pytest.mark.parametrize(
    "ending", [each.name for each in Ending if each.name != "KEPT"]
)
def test_what_came_of_an_event_has_words(ending: str):
    assert ending in history_words.CAUSES


@pytest.mark.parametrize(
    ("step", "cause", "who"),
    [
        (
            Step(NOW, "DISPUTE", "needs_response (fraudulent)"),
            "Wacht op uw antwoord (klant zegt niet zelf betaald te hebben)",
            "Stripe",
        ),
        (Step(NOW, "DISPUTE", "won ()"), "Gewonnen: u houdt het geld", "Stripe"),
        (Step(NOW, "DISPUTE", "brand_new (odd)"), "brand_new (odd)", "Stripe"),
        (
            Step(NOW, "UNITS_RETURNED", "2 x product 7", "a@b"),
            "2 \N{MULTIPLICATION SIGN} Kop",
            "a@b",
        ),
        (Step(NOW, "REFUND_REQUESTED", "OWNER: kapot", "a@b"), "Door u: kapot", "a@b"),
        (Step(NOW, "REFUND_REQUESTED", "STRIPE"), "Bij Stripe", "Stripe"),
        (
            Step(NOW, "REFUND_REQUESTED", "AUTOMATIC: PAID_TWICE"),
            "Automatisch: twee keer betaald",
            "de winkel zelf",
        ),
        (Step(NOW, "REFUND_FAILED", "declined"), "geweigerd door de bank", "Stripe"),
        (
            Step(NOW, "ENTERED", "DISPUTED"),
            "Klant betwist een betaling",
            "de winkel zelf",
        ),
        (Step(NOW, "RESERVED"), "", "klant"),
    ],
)
def test_a_cause_is_told_in_dutch(step: Step, cause: str, who: str):
    assert history_words.cause_of(step, {7: "Kop"}) == cause
    assert history_words.who_of(step) == who


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("InvalidRequestError 400 charge_disputed", "de betaling is betwist"),
        ("InvalidRequestError 400 charge_disputed req_1", "de betaling is betwist"),
        ("InvalidRequestError 400 odd_code", "Stripe weigerde het (odd_code)"),
        ("InvalidRequestError 400 req_1", "Stripe weigerde het"),
        ("InvalidRequestError 404", "Stripe weigerde het"),
        ("PermissionError", "Stripe weigerde het"),
        ("expired_or_canceled_card", "kaart verlopen of opgezegd"),
        (refunds.NO_PAYMENT, "Stripe noemt geen betaling"),
        (owed.SENT_BACK_BEFORE, "het geld was bij Stripe al teruggestuurd"),
        ("a word of tomorrow", "a word of tomorrow"),
    ],
)
def test_why_a_refund_failed_is_told_in_dutch(failure: str, told: str):
    assert history_words.failure_of(failure) == told
