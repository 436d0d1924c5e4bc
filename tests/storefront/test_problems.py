from collections.abc import Iterator

import pytest
from flask import Flask

from core.errors import ShopError
from storefront.problems import MESSAGES, STATUSES, message_of, status_of


def family(kind: type[ShopError]) -> Iterator[type[ShopError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("kind", sorted(family(ShopError), key=str)[1:], ids=str)
def test_every_shop_error_has_a_status_and_words(
    app: Flask, kind: type[ShopError]
) -> None:
    if kind is ShopError:
        return
    error = kind.__new__(kind)

    with app.test_request_context():
        assert 400 <= status_of(error) < 600
        assert any(each in MESSAGES for each in kind.__mro__)
        assert kind in STATUSES or kind.__mro__[1] in STATUSES
    assert callable(message_of)
