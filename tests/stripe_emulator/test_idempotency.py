import threading

import pytest
import stripe

from stripe_emulator.emulator import Emulator
from tests.emulator import wait_until
from tests.stripe_emulator.conftest import client_for, order

KEY: stripe.RequestOptions = {"idempotency_key": "checkout-7"}


def made(sessions):
    return len(sessions.list().data)


def test_the_same_key_gives_the_same_session(sessions):
    params = order()

    first = sessions.create(params, KEY)
    second = sessions.create(params, KEY)

    assert first.id == second.id
    assert made(sessions) == 1
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"


def test_other_parameters_under_a_key_are_refused(sessions):
    params = order()
    sessions.create(params, KEY)

    with pytest.raises(stripe.IdempotencyError) as caught:
        sessions.create(params | {"expires_at": params["expires_at"] + 1}, KEY)

    assert caught.value.http_status == 400
    assert "same parameters" in caught.value.user_message


def test_another_endpoint_under_a_key_is_refused(sessions):
    session = sessions.create(order(), KEY)

    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        sessions.expire(session.id, options=KEY)


def test_a_failed_validation_does_not_use_the_key_up(sessions):
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create(order(locale="xx"), KEY)

    assert sessions.create(order(), KEY).status == "open"


def test_a_refusal_that_had_begun_is_replayed(sessions, control):
    session = sessions.create(order())
    control(f"sessions/{session.id}/pay")

    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            sessions.expire(session.id, options=KEY)
        assert (caught.value.headers or {}).get("Idempotent-Replayed") == replayed


@pytest.mark.parametrize(("kind", "count"), [("error_before", 0), ("error_after", 1)])
def test_a_500_is_replayed_whether_or_not_it_was_done(sessions, control, kind, count):
    params = order()
    control("faults", route="create", kind=kind)

    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            sessions.create(params, KEY)
        assert caught.value.http_status == 500

    assert (caught.value.headers or {})["Idempotent-Replayed"] == "true"
    assert made(sessions) == count


def test_a_key_is_forgotten_after_a_day(sessions, control):
    params = order(expires_at=order()["expires_at"] + 80_000)
    first = sessions.create(params, KEY)

    control("clock", advance=86_401)
    second = sessions.create(order(expires_at=params["expires_at"] + 86_401), KEY)

    assert first.id != second.id


def test_the_same_key_at_the_same_time_is_a_conflict(emulator, sessions, control, look):
    params = order()
    control("barriers", route="create")
    first = threading.Thread(target=sessions.create, args=(params, KEY))
    first.start()
    wait_until(lambda: look("barriers")["waiting"])

    with pytest.raises(stripe.APIError) as caught:
        sessions.create(params, KEY)
    control("barriers/release", route="create")
    first.join()

    assert caught.value.http_status == 409
    assert made(sessions) == 1
    assert sessions.create(params, KEY).status == "open"


def test_a_key_longer_than_255_characters_is_refused(sessions):
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create(order(), {"idempotency_key": "k" * 256})


def test_a_key_on_a_get_means_nothing(sessions):
    session = sessions.create(order(), KEY)

    assert sessions.retrieve(session.id, options=KEY).id == session.id


def test_a_key_outlives_a_restart(tmp_path):
    params = order()
    ids = []
    for _ in range(2):
        emulator = Emulator(state=tmp_path / "state.json")
        client = client_for(emulator.start(0))
        ids.append(client.v1.checkout.sessions.create(params, KEY).id)
        emulator.stop()

    assert ids[0] == ids[1]


def test_the_package_retries_a_lost_answer_into_the_same_session(url, control):
    client = client_for(url, max_network_retries=2)
    control("faults", route="create", kind="drop_after")

    session = client.v1.checkout.sessions.create(order())

    assert [s.id for s in client.v1.checkout.sessions.list().data] == [session.id]
