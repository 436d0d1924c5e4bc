import re
from collections.abc import Iterator

from core import errors
from core.errors import ShopError

# A line of the drawing: two spaces for each level, a mark, and the class.
DRAWN = re.compile(r"^( *)[*+.-] (\w+)", re.MULTILINE)


def family(kind: type[ShopError], level: int = 0) -> Iterator[tuple[int, str]]:
    yield level, kind.__name__
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child, level + 1)


def test_the_errors_are_drawn_as_they_are() -> None:
    drawn = DRAWN.findall(errors.__doc__ or "")

    assert [(len(indent) // 2, name) for indent, name in drawn] == [*family(ShopError)]
