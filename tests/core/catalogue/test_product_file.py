import csv
import io
from pathlib import Path

import pytest

from core.catalogue.csv_rows import LARGEST_FILE
from core.catalogue.descriptions import clean_description
from core.catalogue.product_file import ProductRow, parse
from core.errors import CatalogueError

REAL_FILE = Path(__file__).parents[4] / "shared" / "data" / "shopify-apparel.csv"

CLASSIC = "Handle,Title,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price"


def products(*lines: str, header: str = CLASSIC) -> list[ProductRow]:
    return parse("\n".join([header, *lines]).encode()).rows


def mug(**cells: str) -> ProductRow:
    """Return the only product of a file that says *cells* of it."""
    names = {
        "price": "Variant Price",
        "quantity": "Variant Inventory Qty",
        "body": "Body (HTML)",
        "image": "Image Src",
        "image_alt": "Image Alt Text",
        "published": "Published",
        "status": "Status",
    }
    row = {"Handle": "mug", "Title": "Mug", "Variant Price": "12.50"} | {
        names[name]: cell for name, cell in cells.items()
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, row)
    writer.writeheader()
    writer.writerow(row)
    (product,) = parse(text.getvalue().encode()).rows
    return product


def refusal(content: str | bytes) -> tuple[int | None, str | None]:
    """Return the place that the refusal of a file names."""
    with pytest.raises(CatalogueError) as refused:
        parse(content.encode() if isinstance(content, str) else content)
    return refused.value.line, refused.value.column


def test_each_variant_is_a_product_with_a_readable_name() -> None:
    rows = products(
        "top,Varsity Top,Size,Small,1,60", "top,,,Medium,2,65", "top,,,Large,,60"
    )

    assert [(row.name, row.quantity, row.price_cents) for row in rows] == [
        ("Varsity Top \N{EN DASH} Small", 1, 6000),
        ("Varsity Top \N{EN DASH} Medium", 2, 6500),
        ("Varsity Top \N{EN DASH} Large", 0, 6000),
    ]


def test_two_options_stand_in_one_name() -> None:
    (row,) = products(
        "shirt,Shirt,Colour,Red,Size,Small,20",
        header="Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
        "Variant Price",
    )

    assert row.name == "Shirt \N{EN DASH} Red / Small"
    assert row.option_names == "Colour\nSize"
    assert row.option_values == "Red\nSmall"


def test_a_default_title_gives_just_the_title() -> None:
    (row,) = products("mug,Mug,Title,Default Title,4,12.50")

    assert (row.name, row.option_names, row.option_values) == ("Mug", "", "")


def test_a_row_with_only_a_picture_is_no_product() -> None:
    rows = products(
        "mug,Mug,12.50,front.jpg,Front",
        "mug,,,back.jpg,Back",
        header="Handle,Title,Variant Price,Image Src,Image Alt Text",
    )

    assert [(row.image, row.image_alt) for row in rows] == [("front.jpg", "Front")]


def test_a_variant_has_its_own_picture_or_the_first_of_its_handle() -> None:
    rows = products(
        "top,Top,Size,S,1,front.jpg,Front,",
        "top,,,M,1,back.jpg,Back,",
        "top,,,L,1,,,back.jpg",
        header="Handle,Title,Option1 Name,Option1 Value,Price,Image Src,Image Alt Text,"
        "Variant Image",
    )

    assert [(row.image, row.image_alt) for row in rows] == [
        ("front.jpg", "Front"),
        ("front.jpg", "Front"),
        ("back.jpg", "Back"),
    ]


def test_rows_of_a_handle_need_not_stand_together() -> None:
    rows = products(
        "top,Top,Size,S,1,60", "mug,Mug,,,1,12.50", "top,,,M,1,60", "mug,Mug,Size,L,1,9"
    )

    assert [row.title for row in rows] == ["Top", "Mug", "Top", "Mug"]


def test_continuation_rows_inherit_what_the_first_row_says() -> None:
    _, second = products(
        "top,Top,<b>Nice</b>,Ours,Clothes,warm,draft,Size,S,60",
        "top,,,,,,,,M,60",
        header="Handle,Title,Body (HTML),Vendor,Type,Tags,Status,Option1 Name,"
        "Option1 Value,Variant Price",
    )

    assert (second.description, second.vendor, second.kind, second.tags) == (
        *("<b>Nice</b>", "Ours", "Clothes", "warm"),
    )
    assert not second.is_listed


def test_the_newer_column_names_mean_the_same() -> None:
    (row,) = products(
        "Mug,mug,Nice,Kitchen,Active,M-1,Colour,Blue,12.50,7,mug.jpg,A mug",
        header="Title,URL handle,Description,Type,Status,SKU,Option1 name,"
        "Option1 value,Price,Inventory quantity,Product image URL,Image alt text",
    )

    assert (row.handle, row.name, row.kind, row.sku) == (
        *("mug", "Mug \N{EN DASH} Blue", "Kitchen", "M-1"),
    )
    assert (row.price_cents, row.quantity, row.image) == (1250, 7, "mug.jpg")
    assert (row.description, row.image_alt, row.is_listed) == ("Nice", "A mug", True)


@pytest.mark.parametrize(
    "header", ["handle,TITLE,variant price", " Handle , Title ,Variant  Price "]
)
def test_column_names_may_differ_in_case_and_blanks(header: str) -> None:
    (row,) = products("mug,Mug,12.50", header=header)

    assert row.price_cents == 1250


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_encodings_separators_and_line_breaks_are_understood(
    encoding: str, separator: str, line_break: str
) -> None:
    lines = [
        ["Handle", "Title", "Price"],
        ["café", "Café \N{EN DASH} één", "3.20"],
        ["b", "B", "1"],
    ]
    text = line_break.join(separator.join(cells) for cells in lines)

    assert [
        (row.title, row.price_cents) for row in parse(text.encode(encoding)).rows
    ] == [
        ("Café \N{EN DASH} één", 320),
        ("B", 100),
    ]


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("50", 5000),
        ("50.00", 5000),
        ("12.5", 1250),
        ("1299.95", 129995),
        ("0", 0),
        ("0.07", 7),
        ("12,50", 1250),
        ("12,5", 1250),
        ("1.234,56", 123456),
        ("1,234.56", 123456),
        ("1.234.567,8", 123456780),
        (" 8.95 ", 895),
        ("21474836.47", 2**31 - 1),
    ],
)
def test_a_price_is_understood_to_the_cent(text: str, cents: int) -> None:
    assert mug(price=text).price_cents == cents


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1,234", "1.234", "1.234.567", "1,234,567", "1,23,4", "12,34.5"),
        *("0,234.5", "12.345,67,8", "12.", ".5", "1 234,56", "12.505", "-1", "+1"),
        *("NaN", "inf", "1e3", "0x10", "1_000", "€ 12", "12 EUR", "$5", "free", "½"),
        *("\uff11\uff12", "\u0661\u0662", "1\u00a0234", "21474836.48", "9" * 5000),
    ],
)
def test_a_price_that_is_none_or_two_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        mug(price=text)

    assert (refused.value.line, refused.value.column) == (2, "Variant Price")


@pytest.mark.parametrize(
    ("text", "units"),
    [
        *(("", 0), ("0", 0), ("7", 7), ("007", 7), ("2147483647", 2**31 - 1)),
        *(("5.0", 5), ("5.00", 5), ("5,0", 5)),
    ],
)
def test_a_quantity_counts_as_given_and_blank_is_none(text: str, units: int) -> None:
    assert mug(quantity=text).quantity == units


@pytest.mark.parametrize(
    "text",
    [
        *(
            "-1",
            "-0",
            "+1",
            "5.5",
            "1.000",
            "1,000",
            "5.01",
            "1 000",
            "1e3",
            "many",
            "NaN",
            "1_0",
        ),
        *("\uff11", "\u0661", "²", "2147483648", "9" * 5000),
    ],
)
def test_a_quantity_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        mug(quantity=text)

    assert (refused.value.line, refused.value.column) == (2, "Variant Inventory Qty")


@pytest.mark.parametrize(
    ("cells", "is_listed"),
    [
        ({}, True),
        ({"published": "TRUE"}, True),
        ({"published": "false"}, False),
        ({"published": "ONWAAR"}, False),
        ({"status": "active"}, True),
        ({"status": "Draft"}, False),
        ({"status": "archived"}, False),
        ({"published": "true", "status": "draft"}, False),
        ({"published": "false", "status": "active"}, False),
    ],
)
def test_what_is_not_published_is_not_listed(
    cells: dict[str, str], is_listed: bool
) -> None:
    assert mug(**cells).is_listed is is_listed


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>Nice &amp; <b>warm</b></p>", "<p>Nice &amp; <b>warm</b></p>"),
        ("plain & simple", "plain &amp; simple"),
        ('<p onclick="x()" style="y">Hi</p><script>x()</script>', "<p>Hi</p>"),
        ('<img src="x" onerror="x()">Hi<iframe src="y"></iframe>', "Hi"),
        ('<a href="javascript:x()">Hi</a>', '<a rel="noopener noreferrer">Hi</a>'),
        (
            '<a href="https://example.org/" target="_top">Hi</a>',
            '<a href="https://example.org/" rel="noopener noreferrer">Hi</a>',
        ),
    ],
)
def test_a_description_keeps_only_harmless_html(dirty: str, clean: str) -> None:
    assert mug(body=dirty).description == clean
    assert clean_description(clean) == clean


def test_badly_nested_html_is_put_right_at_once() -> None:
    clean = clean_description("<<li><table><li>")

    assert clean_description(clean) == clean


@pytest.mark.parametrize(
    ("content", "place"),
    [
        pytest.param("", (1, None), id="nothing"),
        pytest.param("\ufeff\n \n", (1, None), id="nothing but blanks"),
        pytest.param("Handle,Title,Price\n", (1, None), id="a header alone"),
        pytest.param("Title,Price\nA,1\n", (1, "Handle"), id="no handle"),
        pytest.param("Handle,Price\na,1\n", (1, "Title"), id="no title"),
        pytest.param("Handle,Title\na,A\n", (1, "Variant Price"), id="no price"),
        pytest.param("a,A,1\nb,B,2\n", (1, "Handle"), id="no header"),
        pytest.param(
            "\n\nTitle,Price\nA,1\n", (3, "Handle"), id="blank lines before the header"
        ),
        pytest.param(
            "Handle|Title|Price\na|A|1\n", (1, "Handle"), id="a strange separator"
        ),
        pytest.param(
            "Handle,Title,Price,variant price\na,A,1,2\n",
            (1, "variant price"),
            id="two columns for one thing",
        ),
        pytest.param("Handle,Title,Price\n,A,1\n", (2, "Handle"), id="a blank handle"),
        pytest.param("Handle,Title,Price\na,,1\n", (2, "Title"), id="a blank title"),
        pytest.param(
            f"Handle,Title,Price\na,{'A' * 256},1\n", (2, "Title"), id="a long title"
        ),
        pytest.param(
            f"Handle,Title,Price\n{'a' * 2001},A,1\n", (2, "Handle"), id="a long handle"
        ),
        pytest.param("Handle,Title,PRICE\na,A,\n", (2, "PRICE"), id="a blank price"),
        pytest.param(
            "Handle,Title,Price,SKU\na,A,1,\nb,B,,X\n", (3, "Price"), id="a SKU alone"
        ),
        pytest.param(
            "Handle,Title,Price,Image Src\na,A,,x.jpg\n",
            (2, "Price"),
            id="no price at all",
        ),
        pytest.param(
            "Handle,Title,Price,Image Src\na,A,1,\nb,,,x.jpg\n",
            (3, "Title"),
            id="a picture of nothing",
        ),
        pytest.param(
            "Handle,Title,Price,Image Src\na,A,1,javascript:x()\n",
            (2, "Image Src"),
            id="a picture that is a script",
        ),
        pytest.param(
            "Handle,Title,Price,Published\na,A,1,perhaps\n",
            (2, "Published"),
            id="neither published nor not",
        ),
        pytest.param(
            "Handle,Title,Price,Status\na,A,1,old\n", (2, "Status"), id="no status"
        ),
        pytest.param(
            "Handle,Title,Price\na,A\n", (2, "Price"), id="a row that is too short"
        ),
        pytest.param(
            "Handle,Title,Price\na,A,12,50\n", (2, None), id="a row that is too long"
        ),
        pytest.param(
            "Handle,Title,Price\na,A,12,\n", (2, None), id="one separator too many"
        ),
        pytest.param(
            "Handle,Title,Price\na;A;1\n", (2, "Title"), id="another separator below"
        ),
        pytest.param(
            'Handle,Title,Price\na,"A,1\nb,B,2\n', (2, "Title"), id="an unclosed quote"
        ),
        pytest.param(
            'Handle,Title,Price\na,"A,1\nb,"B",2\n',
            (2, "Title"),
            id="an unclosed quote that meets another",
        ),
        pytest.param(
            'Handle,Title,Price\na,"A" B,1\n', (2, "Title"), id="text after a quote"
        ),
        pytest.param(
            'Handle,Title,Price\na, "A, B",1\n', (2, "Title"), id="text before a quote"
        ),
        pytest.param('"Handle,Title,Price\na,A,1\n', (1, None), id="a broken header"),
        pytest.param("Handle,Title,Price\na,A\0,1\n", (2, "Title"), id="a NUL"),
        pytest.param(
            "Handle,Title,Price\na,Café,1\n".encode("cp1252"),
            (2, "Title"),
            id="Windows' encoding",
        ),
        pytest.param(
            'Handle,Title,Price\na,"A\nB\né",1\n'.encode("latin-1"),
            (4, "Title"),
            id="Latin 1 on the third line of a cell",
        ),
        pytest.param(
            "Handle,Títle,Price\na,A,1\n".encode("cp1252"),
            (1, None),
            id="in the header",
        ),
        pytest.param(
            "Handle,Title,Price\na,A,1\n".encode("utf-16-le"),
            (1, None),
            id="UTF-16 that does not say so",
        ),
        pytest.param(
            "Handle,Title,Price\na,A,1\n".encode("utf-16") + b"\x00",
            (3, None),
            id="UTF-16 cut off",
        ),
        pytest.param(
            "Handle,Title,Price\na,A,1\n".encode("utf-32"), (1, None), id="UTF-32"
        ),
        pytest.param(
            "Handle,Title,Price\na,\ud800,1\n".encode("utf-8", "surrogatepass"),
            (2, "Title"),
            id="half a character",
        ),
        pytest.param(b"PK\x03\x04\x14\x00\x06\x00", (1, None), id="a spreadsheet"),
        pytest.param(b"x" * (LARGEST_FILE + 1), (None, None), id="too large"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_names_the_place(
    content: str | bytes, place: tuple[int | None, str | None]
) -> None:
    assert refusal(content) == place


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        pytest.param(["a,A,,S,1,1"], (2, "Option1 Name"), id="a value without a name"),
        pytest.param(
            ["a,A,Size,,1,1"], (2, "Option1 Value"), id="a name without a value"
        ),
        pytest.param(
            ["a,A,Size,S,1,1", "a,,,,1,2"],
            (3, "Option1 Value"),
            id="a variant that says nothing",
        ),
        pytest.param(
            ["a,A,Size,S,1,1", "b,B,,,1,1", "a,,,S,1,2"],
            (4, "Option1 Value"),
            id="a variant twice",
        ),
        pytest.param(
            ["a,A,,,1,1", "a,B,Title,Default Title,1,1"],
            (3, "Handle"),
            id="a product twice",
        ),
        pytest.param(
            ['a,A,Size,"S\nM",1,1'], (2, "Option1 Value"), id="a value of two lines"
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    rows: list[str], place: tuple[int, str]
) -> None:
    assert refusal("\n".join([CLASSIC, *rows])) == place


def test_a_product_twice_names_both_lines() -> None:
    with pytest.raises(CatalogueError) as refused:
        products("a,A,,,1,1", "b,B,,,1,1", "a,A,,,1,1")

    (refusal,) = refused.value.refusals
    assert (refusal.line, refusal.values) == (4, {"line": 2})


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_they_stand_in_the_file(line_break: str) -> None:
    lines = ["Handle,Title,Body (HTML),Price", 'a,A,"one', "", "three", 'four",1', ""]

    assert refusal(line_break.join([*lines, "b,B,fine,x"])) == (7, "Price")
    assert refusal(line_break.join([*lines[:4], 'four",x'])) == (5, "Price")


def test_a_row_of_several_lines_is_named_with_its_first() -> None:
    with pytest.raises(CatalogueError) as refused:
        parse(b'Handle,Body (HTML),Title,Price\na,"one\ntwo",A,x\n')

    (refusal,) = refused.value.refusals
    assert (refusal.line, refusal.row) == (3, 2)


def test_quoted_cells_keep_quotes_separators_and_line_breaks() -> None:
    (row,) = products('a,"A ""big"" one, \nreally",,,1,"12,50"')

    assert row.title == 'A "big" one, \nreally'
    assert row.price_cents == 1250


def test_blank_lines_and_columns_of_no_interest_are_skipped() -> None:
    rows = products(
        "",
        "a,A,1,,x",
        ",,,,",
        "   ",
        "b,B,2,,y",
        header="Handle,Title,Price,,Gift Card",
    )

    assert [row.quantity_place.line for row in rows] == [3, 6]


@pytest.mark.skipif(not REAL_FILE.exists(), reason="the real product file is not here")
def test_a_real_file_is_understood() -> None:
    rows = parse(REAL_FILE.read_bytes()).rows

    assert len(rows) == 22
    assert [row.name for row in rows[:3]] == [
        "Ocean Blue Shirt",
        "Classic Varsity Top \N{EN DASH} Small",
        "Classic Varsity Top \N{EN DASH} Medium",
    ]
    assert sum(row.quantity or 0 for row in rows) == 22
    assert rows[0].price_cents == 5000
    assert rows[0].image.endswith("young-man-in-bright-fashion_925x.jpg")
