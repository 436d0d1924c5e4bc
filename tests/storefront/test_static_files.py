"""Files that browsers keep for ever, and answers that travel packed."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.database.engine import Database
from storefront import static_files
from tests.factories import add_product, change

pytestmark = pytest.mark.daily_on("sqlite")

PACKED = {"Accept-Encoding": "gzip"}


@pytest.fixture
def picture() -> Iterator[Path]:
    """Give a picture as an owner puts it there."""
    path = static_files.FOLDER / "picture-of-a-test.svg"
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    yield path
    path.unlink()


def fetch(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    """Fetch a file to its end, as a browser does."""
    answer = client.get(path, headers=headers)
    answer.get_data()
    answer.close()
    return answer


def address_on(client: FlaskClient, name: str) -> str:
    found = re.search(rf'/static/{name}[^"]*', client.get("/").text)
    assert found
    return found[0]


def test_a_file_has_a_hash_in_its_name_and_is_kept_for_ever(
    client: FlaskClient,
) -> None:
    address = address_on(client, "shop")

    answer = fetch(client, address)

    assert re.fullmatch(r"/static/shop\.[0-9a-f]{12}\.css", address)
    assert answer.mimetype == "text/css"
    assert answer.data == (static_files.FOLDER / "shop.css").read_bytes()
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", ["shop.css", "shop.0123456789ab.css"])
def test_a_name_without_the_hash_of_today_is_asked_about_each_time(
    client: FlaskClient, name: str
) -> None:
    answer = fetch(client, f"/static/{name}")
    again = fetch(
        client, f"/static/{name}", **{"If-None-Match": answer.headers["ETag"]}
    )

    assert answer.data == (static_files.FOLDER / "shop.css").read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["nothing.css", "nothing.0123456789ab.css"])
def test_a_file_that_is_not_there_is_not_kept(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")

    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_picture_that_the_owner_replaces_gets_another_name(
    client: FlaskClient, database: Database, picture: Path
) -> None:
    change(database, add_product(database), image=picture.name)
    before = address_on(client, picture.stem)

    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='1'/>")

    after = address_on(client, picture.stem)
    assert before != after
    assert fetch(client, after).headers["Cache-Control"] == static_files.FOR_EVER
    assert fetch(client, before).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "image", ["gone.svg", "../../pyproject.toml", "/etc/passwd", "a\nb", "x" * 3000]
)
def test_a_picture_that_is_not_there_leaves_the_page_as_it_is(
    client: FlaskClient, database: Database, image: str
) -> None:
    change(database, add_product(database), image=image)

    page = client.get("/")

    assert page.status_code == 200
    assert static_files._hash_of(image) == ""


@pytest.mark.parametrize(
    "path", ["/", "/cart", "/static/shop.css", "/static/countdown.js", "/api/products"]
)
def test_what_is_text_travels_packed_to_who_can_unpack_it(
    client: FlaskClient, database: Database, path: str
) -> None:
    for _ in range(9):
        add_product(database)

    plain, packed = fetch(client, path), fetch(client, path, **PACKED)

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.data) < len(plain.data) / 1.5
    # The token of the forms is another one in each second.
    assert len(gzip.decompress(packed.data)) == len(plain.data)


def test_a_packed_file_is_asked_about_by_its_own_mark(client: FlaskClient) -> None:
    packed = fetch(client, "/static/shop.css", **PACKED)

    again = fetch(
        client,
        "/static/shop.css",
        **PACKED,
        **{"If-None-Match": packed.headers["ETag"]},
    )

    assert again.status_code == 304


def test_a_part_of_a_packed_file_is_not_served(client: FlaskClient) -> None:
    part = fetch(client, "/static/shop.css", **PACKED, Range="bytes=5-9")

    assert part.status_code == 200
    whole = (static_files.FOLDER / "shop.css").read_bytes()
    assert gzip.decompress(part.data) == whole


def test_pages_stay_fresh(client: FlaskClient) -> None:
    answer = client.get("/", headers=PACKED)

    assert answer.headers["Cache-Control"] == "no-store"
    assert {"Accept-Language", "Cookie"} <= {
        each.strip() for each in answer.headers["Vary"].split(",")
    }
