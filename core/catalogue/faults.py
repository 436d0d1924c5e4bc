"""What can be wrong with a product file; the front ends have the words."""

from enum import StrEnum


class Fault(StrEnum):
    """A kind of fault; the comments name the values that come with it."""

    # The file
    TOO_LARGE = "too_large"  # megabytes
    WORKBOOK = "workbook"
    UTF_32 = "utf_32"
    DAMAGED_UTF_16 = "damaged_utf_16"
    NO_PRODUCTS = "no_products"
    # Its header
    COLUMN_MISSING = "column_missing"
    COLUMN_TWICE = "column_twice"  # other
    # A row
    ROW_TOO_LONG = "row_too_long"  # cells, columns
    OPEN_QUOTE = "open_quote"
    STRAY_QUOTE = "stray_quote"
    NUL = "nul"
    NOT_UTF_8 = "not_utf_8"
    # A cell
    BLANK = "blank"
    TOO_LONG = "too_long"  # most
    TOO_MUCH = "too_much"  # text
    NEGATIVE = "negative"  # text
    NO_PRICE = "no_price"  # text
    NO_NUMBER = "no_number"  # text
    NO_RATE = "no_rate"  # text
    NO_CHOICE = "no_choice"  # text, choices
    NO_WEB_ADDRESS = "no_web_address"  # text
    SEVERAL_LINES = "several_lines"
    TAXED_AND_NOT = "taxed_and_not"
    # Rows and products together
    PICTURE_OF_NOTHING = "picture_of_nothing"
    OPTION_WITHOUT_NAME = "option_without_name"
    OPTION_WITHOUT_VALUE = "option_without_value"  # name
    SAME_PRODUCT = "same_product"  # line
    NAME_TAKEN = "name_taken"  # name
    STOCK_IMPOSSIBLE = "stock_impossible"  # name, stock, reserved
