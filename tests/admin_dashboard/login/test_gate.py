"""The gate and the login over real HTTP, in front of a real Streamlit."""

import time
from collections.abc import Iterator

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from sqlalchemy import text
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.protocol import State

from admin_dashboard.login.gate import LOGIN_ENDED
from admin_dashboard.login.logins import (
    COOKIE,
    LOGGED_OUT,
    LONGEST_SECONDS,
    SALT,
    Logins,
)
from core.owner import accounts
from tests.admin_dashboard.conftest import Dashboard
from tests.admin_dashboard.visitor import Visitor
from tests.factories import eventually

pytestmark = pytest.mark.slow
PASSWORD = "een-goed-wachtwoord"


@pytest.fixture
def owner(dashboard: Dashboard, request: pytest.FixtureRequest) -> str:
    """Give each test an owner of its own, so that wrong attempts do not add up."""
    email = f"{request.node.name}@localhost"
    dashboard.add_owner(email, PASSWORD)
    return email


@pytest.fixture
def visitor(dashboard: Dashboard) -> Visitor:
    return dashboard.visitor()


def signed(dashboard: Dashboard, mark: str, *, age_seconds: int) -> str:
    """Return a cookie that the shop itself signed that many seconds ago."""

    class Then(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) - age_seconds

    signer = URLSafeTimedSerializer(dashboard.secret_key, salt=SALT, signer=Then)
    return str(signer.dumps([mark, "number"]))


def mark_of(dashboard: Dashboard, email: str) -> str:
    mark = accounts.check_password(dashboard.database, email, PASSWORD)
    assert mark
    return mark


@pytest.mark.parametrize("path", ["/", "/reservations", "/orders", "/favicon.png"])
def test_a_page_without_login_leads_to_the_login(visitor: Visitor, path: str):
    answer = visitor.get(path)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert answer.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/agent/openapi.json",
        "/_stcore/metrics",
        "/static/index.html",
        "/media/a.csv",
        "/component/a/b.js",
    ],
)
def test_without_login_streamlit_gives_nothing(visitor: Visitor, path: str):
    answer = visitor.get(path)

    assert (answer.status_code, answer.json()) == (401, LOGGED_OUT)


def test_without_login_the_websocket_stays_closed(visitor: Visitor):
    with pytest.raises(InvalidStatus) as refused, visitor.websocket():
        pass

    assert refused.value.response.status_code == 403


def test_the_sign_of_life_needs_no_login(visitor: Visitor):
    answer = visitor.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


def test_the_right_password_opens_pages_and_websocket(visitor: Visitor, owner: str):
    answer = visitor.log_in(owner, PASSWORD)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert visitor.get("/").status_code == 200
    assert visitor.get("/_stcore/health").status_code == 200
    with visitor.websocket() as websocket:
        assert websocket.state is State.OPEN


def test_the_login_survives_a_reload(visitor: Visitor, owner: str):
    visitor.log_in(owner, PASSWORD)

    assert [visitor.get("/orders").status_code for _ in range(2)] == [200, 200]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    visitor: Visitor, owner: str
):
    cookie = visitor.log_in(owner, PASSWORD).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert f"Max-Age={LONGEST_SECONDS}" in cookie


def test_behind_https_the_cookie_is_for_https_alone(visitor: Visitor, owner: str):
    form = {"csrf_token": visitor.token(), "email": owner, "password": PASSWORD}

    answer = visitor.post("/login", form, **{"X-Forwarded-Proto": "https"})

    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_wrong_password_and_an_unknown_owner_get_the_same_answer(
    visitor: Visitor, owner: str
):
    wrong = visitor.log_in(owner, "een-ander-wachtwoord")
    unknown = visitor.log_in("niemand@localhost", PASSWORD)

    sentence = "Dit e-mailadres en wachtwoord horen niet bij elkaar."
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert sentence in wrong.text
    assert sentence in unknown.text
    assert visitor.get("/").status_code == 303


def test_after_five_wrong_attempts_even_the_right_one_waits(
    visitor: Visitor, owner: str
):
    wrong = [visitor.log_in(owner, "fout-fout").status_code for _ in range(5)]
    answer = visitor.log_in(owner, PASSWORD)

    assert wrong == [401] * 5
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 11


def test_a_changed_password_ends_the_login(
    dashboard: Dashboard, visitor: Visitor, owner: str
):
    visitor.log_in(owner, PASSWORD)
    assert visitor.get("/").status_code == 200

    dashboard.add_owner(owner, "een-nieuw-wachtwoord")

    eventually(lambda: visitor.get("/").status_code == 303, seconds=10)


def test_a_changed_password_closes_the_open_websocket(
    dashboard: Dashboard, visitor: Visitor, owner: str
):
    visitor.log_in(owner, PASSWORD)
    with visitor.websocket() as websocket:
        dashboard.add_owner(owner, "een-nieuw-wachtwoord")
        eventually(lambda: visitor.get("/").status_code == 303, seconds=10)

        websocket.send(b"")

        with pytest.raises(ConnectionClosedError):
            list(websocket)
    assert websocket.close_code == LOGIN_ENDED


def test_logging_out_ends_the_login_also_for_a_copied_cookie(
    dashboard: Dashboard, visitor: Visitor, owner: str
):
    visitor.log_in(owner, PASSWORD)
    thief = dashboard.visitor()
    thief.session.cookies.set(COOKIE, visitor.session.cookies[COOKIE])

    answer = visitor.log_out()

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert visitor.get("/").status_code == 303
    assert thief.get("/").status_code == 303


@pytest.fixture
def _without_owners(
    dashboard: Dashboard, visitor: Visitor, owner: str
) -> Iterator[None]:
    """Log in; then the database can no longer tell who is an owner."""
    visitor.log_in(owner, PASSWORD)
    rename(dashboard, "owner", "owner_away")
    yield
    rename(dashboard, "owner_away", "owner")


def rename(dashboard: Dashboard, table: str, name: str) -> None:
    statement = text(f"ALTER TABLE {table} RENAME TO {name}")
    dashboard.database.write(lambda session: session.execute(statement))


@pytest.mark.usefixtures("_without_owners")
def test_a_database_out_of_reach_is_told_in_a_sentence(visitor: Visitor, owner: str):
    eventually(lambda: visitor.get("/").status_code == 503, seconds=10)
    answer = visitor.log_in(owner, PASSWORD)

    assert "niet bereikbaar" in visitor.get("/").text
    assert (answer.status_code, "niet bereikbaar" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "cookie", ["", "x", "WyIxOmFiYyIsIjEiXQ.aaaaaa.bbbbbbbbbbbb", "é", "a" * 3000]
)
def test_a_forged_cookie_opens_nothing(visitor: Visitor, cookie: str):
    header = f"{COOKIE}={cookie}".encode().decode("latin-1")

    assert visitor.get("/", Cookie=header).status_code == 303


@pytest.mark.parametrize(
    ("age_seconds", "status"),
    [(LONGEST_SECONDS - 60, 200), (LONGEST_SECONDS + 60, 303)],
)
def test_a_login_lasts_eight_hours(
    dashboard: Dashboard, visitor: Visitor, owner: str, age_seconds: int, status: int
):
    mark = mark_of(dashboard, owner)
    visitor.session.cookies.set(
        COOKIE, signed(dashboard, mark, age_seconds=age_seconds)
    )

    assert visitor.get("/").status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_login_sent_by_another_site_is_refused(
    visitor: Visitor, owner: str, headers: dict[str, str]
):
    form = {"csrf_token": visitor.token(), "email": owner, "password": PASSWORD}

    assert visitor.post("/login", form, **headers).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "InZhbHNlIg.awLDyg.kR7fDA7ue5OO"])
def test_a_login_without_our_own_form_is_refused(
    visitor: Visitor, owner: str, token: str
):
    visitor.token()

    answer = visitor.post(
        "/login", {"csrf_token": token, "email": owner, "password": PASSWORD}
    )

    assert answer.status_code == 403


def test_a_form_given_to_another_visitor_is_refused(
    dashboard: Dashboard, visitor: Visitor, owner: str
):
    foreign = dashboard.visitor().token()
    visitor.token()

    answer = visitor.post(
        "/login", {"csrf_token": foreign, "email": owner, "password": PASSWORD}
    )

    assert answer.status_code == 403


def test_a_body_too_large_for_a_login_is_refused(visitor: Visitor, owner: str):
    form = {"csrf_token": visitor.token(), "email": owner, "password": "x" * 100_000}

    assert visitor.post("/login", form).status_code == 403


def test_a_logout_sent_by_another_site_changes_nothing(visitor: Visitor, owner: str):
    visitor.log_in(owner, PASSWORD)

    answer = visitor.post("/logout", {})

    assert answer.status_code == 403
    assert visitor.get("/").status_code == 200


def test_no_answer_can_be_framed_or_guessed_at(visitor: Visitor, owner: str):
    visitor.log_in(owner, PASSWORD)
    for path in ("/login", "/", "/_stcore/health"):
        headers = visitor.get(path).headers

        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_what_was_typed_comes_back_as_text_alone(visitor: Visitor):
    answer = visitor.log_in('"><script>alert(1)</script>', "fout-fout")

    assert "<script>" not in answer.text


def test_the_login_speaks_the_language_that_is_asked_for(visitor: Visitor):
    dutch = visitor.get("/login").text
    english = visitor.get("/login", **{"Accept-Language": "en-GB,nl;q=0.5"}).text

    assert ('<html lang="nl">' in dutch, "Wachtwoord" in dutch) == (True, True)
    assert ('<html lang="en">' in english, "Password" in english) == (True, True)


def test_a_login_knows_whose_it_is(dashboard: Dashboard, owner: str):
    logins = Logins(dashboard.database, dashboard.secret_key)
    cookie = logins.open(owner, PASSWORD) or ""

    assert logins.owner_of(cookie) == owner


@pytest.mark.parametrize("cookie", ["", "x", "WyIxOmFiYyIsIjEiXQ.aaaaaa.bbbbbbbbbbbb"])
def test_a_forged_cookie_is_nobodys(dashboard: Dashboard, cookie: str):
    assert Logins(dashboard.database, dashboard.secret_key).owner_of(cookie) == ""


def test_a_login_from_before_a_new_password_is_nobodys(
    dashboard: Dashboard, owner: str
):
    logins = Logins(dashboard.database, dashboard.secret_key)
    cookie = logins.open(owner, PASSWORD) or ""

    dashboard.add_owner(owner, "een-nieuw-wachtwoord")

    assert logins.owner_of(cookie) == ""
