"""Rows for the sentences of SPEC.md on lookup tables."""

from support.pack_recipe import compress
from support.sentences.row import TABLE, Row
from support.sentences.tables import (
    end,
    frame_of_block,
    frame_of_head,
    in_block,
    list_of,
    number,
    put,
    table_of_another_file,
    with_table,
)

_TABLE = "A reader MUST refuse, where it needs it: a table that does not lie in the section"
_LENGTHS = "a head, block or record that is not of the length that its values give"
_TOLD = "lookup table|row block|block of (rows|strings|texts)|row \\d"
_VALUE = "or has values that the tables above exclude"

# A row takes a line or two.
# fmt: off
ROWS_OF_TABLES = [
    # 16 Lookup tables
    Row("refuse unless the frame ends with the checksum in entry.lookup", "1234",
        with_table(place=(3, b"1234")), "lookup", TABLE),
    Row("refuse unless the frame ends with the checksum in the head", "another",
        with_table(spoil=lambda data: data[:-40] + bytes(40)), _TOLD),
    Row(_TABLE, "offset", with_table(place=(0, 10**6)), "lookup", TABLE),
    Row(_TABLE, "length", with_table(place=(1, 10**6)), "lookup", TABLE),
    Row("or a head that does not lie in its table", "longer", with_table(place=(2, 10**5)), "lookup", TABLE),
    *(
        Row("a frame that section 5 tells it to refuse for a block", what, with_table(change), _TOLD, use)
        for what, change, use in (("a head without checksum", frame_of_head(write_checksum=False), TABLE),
            ("a head without size", frame_of_head(write_content_size=False), TABLE),
            ("rows without checksum", frame_of_block(0, write_checksum=False), TABLE),
            ("strings without size", frame_of_block(2, write_content_size=False), None))
    ),
    *(
        Row("what is over a limit of section 12", what, with_table(change), "limit|bounds|a place", use)
        for what, change, use in (
            ("a head", lambda table: setattr(table, "head_frame", compress(bytes((16 << 20) + 1))), TABLE),
            ("rows", in_block(0, lambda _: bytes((1 << 20) + 1)), TABLE),
            ("strings", in_block(2, lambda _: bytes((1 << 20) + 1)), None),
            ("a line", list_of("places", 1, 1 << 62), None),
            ("a source line", in_block(0, put(4, b"\xff\xff\xff\x7f")), None))
    ),
    *(
        Row(_LENGTHS, what, with_table(change), _TOLD, use)
        for what, change, use in (("a head", lambda table: table.places.append(1 << 61), TABLE),
            ("rows", in_block(0, lambda block: block + b"\0"), TABLE),
            ("rows cut", in_block(0, lambda block: block[:-1]), TABLE),
            ("strings", in_block(2, lambda block: block + b"x"), None),
            ("texts", in_block(4, lambda block: block + b"x"), None))
    ),
    *(
        Row(_VALUE, what, with_table(change), _TOLD, use)
        for what, change, use in (("inside", number("inside", 2), TABLE),
            ("more row blocks than rows", number("rows", 1), TABLE),
            ("too few rows", number("rows", 599), None),
            ("more sources than strings", number("sources", 68), TABLE),
            ("first string", list_of("first_strings", 0, 2), TABLE),
            ("first strings fall", list_of("first_strings", 1, 1), None),
            ("first source", list_of("first_sources", 0, 2), TABLE),
            ("places fall", list_of("places", 1, 0), None),
            ("no rows in a block", in_block(0, put(0, bytes(4))), TABLE),
            ("no source in a table of sources", in_block(0, put(12, bytes(4))), TABLE),
            ("a low of lines", in_block(0, put(36, b"\1")), TABLE),
            ("a width", in_block(0, put(52, b"\5")), TABLE), ("reserved", in_block(0, put(59, b"\1")), TABLE),
            ("a step of the first row", in_block(0, put(60, b"\1")), None),
            ("kind of a text", in_block(4, put(12, b"\3")), None),
            ("first position of a text", in_block(4, put(0, b"\1")), None))
    ),
    Row("a block that does not end after it begins", "equal ends", with_table(end(1, 1)), "lookup", TABLE),
    Row("or ends outside of its table", "far", with_table(end(4, 1 << 30)), "lookup", TABLE),
    *(
        Row("an index or number of what is not there", what, with_table(change), _TOLD)
        for what, change in (
            ("a source", in_block(0, put(24, b"\7"))),
            ("a string", in_block(0, put(28, b"\xff\xff"))),
            ("a text's entry",
                in_block(4, lambda block: put(12, b"\1" + bytes([200, 0, 0, 0]))(block)[:17] + block[29:])),
        )
    ),
    Row("a string that is not UTF-8", "so", with_table(in_block(2, put(0, b"\xc3"))), "utf-8"),
    Row("where the map is read, one whose SHA-256", "zeros",
        with_table(lambda table: setattr(table, "map_sha256", bytes(32))), "SHA-256 of the source map"),
    Row("every lookup table (section 16): tables fill their section", "a gap",
        with_table(spoil=lambda data: data + b"gap"), "end of the lookup tables"),
    Row("and belong to the entries that have them", "another file", table_of_another_file, "of another file"),
    Row("and belong to the entries that have them", "and a reason", with_table(lookup_reason="none"),
        "where there can be none"),
    Row("all rows, strings and texts", "a text", with_table(in_block(4, put(12, b"\3"))), _TOLD),
    Row("the map is there, and has the SHA-256", "no entry", with_table(number("map", 99)), "source map"),
    *(
        Row("texts in the map are JSON strings that do not overlap", what,
            with_table(in_block(4, put(at, value))), "text")
        for what, at, value in (("no string", 13, b"\xe3"), ("lines", 26, b"\x41"),
            ("too long", 17, b"\xff\xff"))
    ),
]
