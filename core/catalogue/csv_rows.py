"""
From bytes to rows of cells.

An encoding and a separator are understood or refused, never guessed.
"""

import re
from collections.abc import Callable, Iterator

from core.catalogue.faults import Fault
from core.errors import CatalogueError, Refusal

LARGEST_FILE = 20 * 1024 * 1024
LINE_BREAK = re.compile(r"\r\n?|\n")
QUOTED_CELL = re.compile(r'"([^"]*(?:""[^"]*)*)"')
# Excel's way to say how the cells are separated.
SEPARATOR_LINE = re.compile(
    r'\ufeff?"?sep=([,;\t])"?[,;\t]*(?:\r\n?|\n|$)', re.IGNORECASE
)
# A zipped workbook (.xlsx, .ods) and an old one (.xls).
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def rows_of(
    content: bytes, is_known: Callable[[str], bool]
) -> Iterator[tuple[int, list[str]]]:
    """
    Yield each row that is not blank with the line on which it begins.

    The separator is the one that a line "sep=" names, else that which finds most known
    columns in the header. Raises CatalogueError, with the place, for what is no text,
    and for a quote that leaves open what belongs to which cell.
    """
    text = _decoded(content)
    return _rows(text, _separator(text, is_known))


def _decoded(content: bytes) -> str:
    if len(content) > LARGEST_FILE:
        most = {"megabytes": LARGEST_FILE >> 20}
        raise CatalogueError([Refusal(Fault.TOO_LARGE, values=most)])
    if content.startswith(WORKBOOKS):
        raise CatalogueError([Refusal(Fault.WORKBOOK, 1)])
    if content.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise CatalogueError([Refusal(Fault.UTF_32, 1)])
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-16", "ignore")
        line = 1 + line_breaks(before)
        raise CatalogueError([Refusal(Fault.DAMAGED_UTF_16, line)]) from error


def _separator(text: str, is_known: Callable[[str], bool]) -> str:
    if declared := SEPARATOR_LINE.match(text):
        return declared[1]
    return max(",;\t", key=lambda candidate: _fit(text, candidate, is_known))


def _fit(text: str, separator: str, is_known: Callable[[str], bool]) -> int:
    """Count the known columns in the header when it is split by *separator*."""
    try:
        _, names = next(_rows(text, separator), (1, []))
    except CatalogueError:
        return -1
    return sum(map(is_known, names))


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line on which it begins."""
    declared = SEPARATOR_LINE.match(text)
    position, line = (declared.end(), 2) if declared else (0, 1)
    names: list[str] = []
    while position < len(text):
        line_break = LINE_BREAK.search(text, position)
        end = line_break.start() if line_break else len(text)
        if '"' in text[position:end]:
            cells, end = _quoted_row(text, position, line, separator, names)
            line_break = LINE_BREAK.match(text, end)
        else:
            cells = text[position:end].split(separator)
        if any(map(str.strip, cells)):
            yield line, cells
            names = names or cells
        end = line_break.end() if line_break else end
        line += line_breaks(text[position:end])
        position = end


def _quoted_row(
    text: str, position: int, line: int, separator: str, names: list[str]
) -> tuple[list[str], int]:
    """Return the cells of the row at *position* and where it ends."""
    plain_cell = re.compile(f'[^"\r\n{separator}]*')
    cells: list[str] = []
    while True:
        is_quoted = text.startswith('"', position)
        match = (QUOTED_CELL if is_quoted else plain_cell).match(text, position)
        following = text[match.end() : match.end() + 1] if match else None
        if match is None or following not in ("", "\r", "\n", separator):
            fault = Fault.OPEN_QUOTE if match is None else Fault.STRAY_QUOTE
            place = line + line_breaks(*cells), name_at(names, len(cells))
            raise CatalogueError([Refusal(fault, *place, line)])
        cells.append(match[1].replace('""', '"') if is_quoted else match[0])
        if following != separator:
            return cells, match.end()
        position = match.end() + 1


def line_breaks(*texts: str) -> int:
    """Count the line breaks in *texts*; CR LF is one."""
    return sum(len(LINE_BREAK.findall(text)) for text in texts)


def name_at(names: list[str], position: int) -> str | None:
    """Return the name of a column; None for a cell beyond the last one."""
    return names[position].strip() if position < len(names) else None
