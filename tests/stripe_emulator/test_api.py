import pytest
import requests
import stripe

from tests.stripe_emulator.conftest import client_for, order


def get(url, **headers):
    return requests.get(url, headers=headers, timeout=5)


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/nothing", "/nothing"])
def test_an_unknown_route_is_a_404_in_stripes_shape(url, path):
    answer = get(f"{url}{path}", Authorization="Bearer sk_test_x")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert f"Unrecognized request URL (GET: {path})." in answer.text


def test_an_unknown_call_of_the_package_fails_loudly(client):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.v1.customers.list()


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer pk_test_x"},
        {"Authorization": "Bearer sk_live_x"},
        {"Authorization": "Bearer rk_live_x"},
        {"Authorization": "Basic !"},
        {"Authorization": "sk_test_x"},
    ],
)
def test_only_a_test_key_may_ask(url, header):
    answer = get(f"{url}/v1/checkout/sessions", **header)

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("key", ["sk_test_x", "rk_test_x"])
def test_a_test_key_may_ask(url, key):
    client = client_for(url, key=key)

    assert client.v1.checkout.sessions.list().data == []


def test_a_key_may_come_as_a_user_name(url):
    path = f"{url}/v1/checkout/sessions"
    answer = requests.get(path, auth=("sk_test_x", ""), timeout=5)

    assert answer.status_code == 200


def test_a_live_key_is_not_repeated_in_full(url):
    answer = get(f"{url}/v1/events", Authorization="Bearer sk_live_x")

    assert "abcdefgh" not in answer.text


def test_json_is_no_form(url):
    answer = requests.post(
        f"{url}/v1/checkout/sessions",
        json=order(),
        headers={"Authorization": "Bearer sk_test_x"},
        timeout=5,
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"a=\xff\xfe%ff", b"[x]=1", b"a[b=1", b"a=1&a[b]=2"])
def test_a_garbled_form_is_a_400(url, body):
    headers = {
        "Authorization": "Bearer sk_test_x",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    path = f"{url}/v1/checkout/sessions"
    answer = requests.post(path, data=body, headers=headers, timeout=5)

    assert answer.status_code == 400
    assert "error" in answer.json()


def test_an_answer_names_its_request(client):
    answer = client.v1.checkout.sessions.list().last_response

    assert answer.request_id.startswith("req_")
