"""Lookup tables out of scripts and their source maps, by PyPI symbolic (SPEC.md, "Lookup tables").

What symbolic's `SourceMapCache` answers is constant from one token of the map to the next, so its answers
where tokens begin are all that it can say. They are asked for through symbolic's C interface, as objects for
each token would take most of the time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import accumulate

import zstandard

from srcpack.format.lookup_rows import Row, pack_rows
from srcpack.format.lookups import (
    ABSENT,
    MAX_LOOKUP_BLOCK,
    MAX_LOOKUP_HEAD,
    LookupHead,
    pack_embedded_text,
    pack_entry_text,
    pack_head,
    pack_strings,
    pack_texts,
)
from srcpack.rules.strict_json import TooManyBrackets
from srcpack_convert.one.map_contents import MapContents, line_steps, locate_contents
from srcpack_convert.one.symbolic_answers import AnswerRow, Refused, SymbolicAnswers, empty_sources
from srcpack_convert.one.table import NoTable, Table

__all__ = ["MAX_TOKENS", "build_table"]

MAX_TOKENS = 8 << 20
"""Most tokens of a map that gets a table; each takes about 8 us and 100 bytes of memory."""

BLOCK_ROWS = 512
"""Rows in a block. With fewer, a look-up is faster; with more, a row takes less."""

_BLOCK_BYTES = 2048
"""Bytes at which a block of strings or of texts ends."""

_MOST_INSIDE = 32 << 10
"""Bytes of blocks that are put into the head, where there is one block of rows."""

_LEVEL = 12
_NO_ANSWER = (0, 0, 0, 0, 0)
_new = tuple.__new__


def build_table(script: bytes, source_map: bytes, number: int, entries: Mapping[bytes, int]) -> Table:
    """Build the table of a script and its map, both UTF-8; NoTable if symbolic refuses it, or it is large.

    `number` is that of the map's entry, or `DATA_URL`; `entries` are the numbers of entries whose content is
    UTF-8, by its SHA-256.
    """
    try:
        contents = locate_contents(source_map)
        answers = SymbolicAnswers(script, source_map, contents.thin)
        if answers.tokens > MAX_TOKENS:
            raise NoTable(f"the map has {answers.tokens:,} tokens, over the limit of {MAX_TOKENS:,}")
        texts = _texts(answers, source_map, contents, entries)
        builder = _Builder(answers.sources)
        builder.add_rows(answers.rows(builder.number_of))
    except TooManyBrackets as error:
        raise NoTable(f"the map {error.problem}") from error
    except Refused as error:
        raise NoTable(f"symbolic: {error}") from error
    return builder.table(sha256(source_map).digest(), number, texts)


@cache
def _compressor() -> zstandard.ZstdCompressor:
    """Return the one of this process, which has one thread that builds tables."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


class _Builder:
    """Rows and strings on their way into blocks; the sources' names are the strings that come first."""

    def __init__(self, sources: Sequence[bytes]) -> None:
        self._sources = len(sources)
        self._strings = [*sources]
        self._numbers: dict[bytes, int] = {b"": 0}
        self._rows = 0
        self._places: list[int] = []
        self._blocks: list[bytes] = []

    def add_rows(self, rows: Iterator[AnswerRow]) -> None:
        """Add the rows that say something else than the one before them in their line, or than nothing."""
        block = list[Row]()
        last_line, last = -1, _NO_ANSWER
        for row in rows:
            if row[0] != last_line:
                last_line, last = row[0], _NO_ANSWER
            answer = row[2:]
            if answer != last:
                last = answer
                block.append(_new(Row, row))
                if len(block) == BLOCK_ROWS:
                    self._add_block(block)
                    block = []
        if block:
            self._add_block(block)

    def number_of(self, string: bytes) -> int:
        """Return the number of a string; a new one gets the next."""
        number = self._numbers.get(string)
        if number is None:
            self._strings.append(string)
            number = self._numbers[string] = len(self._strings)
        return number

    def _add_block(self, rows: Sequence[Row]) -> None:
        try:
            self._blocks.append(pack_rows(rows))
        except ValueError as error:
            raise NoTable(str(error)) from error
        self._rows += len(rows)
        self._places.append(rows[0].line << 32 | rows[0].column)

    def table(self, map_sha256: bytes, number: int, texts: Sequence[bytes]) -> Table:
        """Return the table, with what is recorded of the sources' texts."""
        strings, first_strings = _grouped(self._strings, pack_strings)
        sources, first_sources = _grouped(texts, pack_texts)
        blocks = [*self._blocks, *strings, *sources]
        if (largest := max(map(len, blocks), default=0)) > MAX_LOOKUP_BLOCK:
            raise NoTable(f"a block of {largest:,} bytes, over the limit of {MAX_LOOKUP_BLOCK:,}")
        inside = len(self._blocks) <= 1 and sum(map(len, blocks)) <= _MOST_INSIDE
        if not inside:
            blocks = list(map(_compressor().compress, blocks))
        ends = list(accumulate(map(len, blocks)))
        head = pack_head(
            LookupHead(
                map_sha256=map_sha256,
                map=number,
                rows=self._rows,
                sources=self._sources,
                strings=len(self._strings),
                row_places=self._places,
                first_strings=first_strings,
                first_sources=first_sources,
                ends=ends,
                checksums=b"" if inside else b"".join(block[-4:] for block in blocks),
                inside=b"".join(blocks) if inside else None,
            )
        )
        if len(head) > MAX_LOOKUP_HEAD:
            raise NoTable(f"a head of {len(head):,} bytes, over the limit of {MAX_LOOKUP_HEAD:,}")
        frame = _compressor().compress(head)
        return Table(frame if inside else b"".join((frame, *blocks)), len(frame), self._rows)


def _grouped(
    items: Sequence[bytes], pack: Callable[[Sequence[bytes]], bytes]
) -> tuple[list[bytes], list[int]]:
    """Pack items into blocks; return these, and the number of the first item of each, counted from 1."""
    blocks, firsts, group, size = [], [], list[bytes](), 0
    for number, item in enumerate(items, 1):
        if not group:
            firsts.append(number)
        group.append(item)
        size += len(item)
        if size >= _BLOCK_BYTES:
            blocks.append(pack(group))
            group, size = [], 0
    if group:
        blocks.append(pack(group))
    return blocks, firsts


def _texts(
    answers: SymbolicAnswers, source_map: bytes, contents: MapContents, entries: Mapping[bytes, int]
) -> list[bytes]:
    """Return the record of each source's text.

    What symbolic has for a source is looked for among the texts that were found in the map: so an indexed
    map, whose sources symbolic puts together, needs no rule here. symbolic cannot tell an empty text from
    none; by its place in the map it is told.
    """
    found = contents.texts
    by_sha256 = {text.sha256: text for text in found if text}
    empty_text = by_sha256.get(sha256(b"").digest()) if contents.has_sections else None
    empty = frozenset[int]() if empty_text is None else empty_sources(source_map)
    records = []
    for source in range(len(answers.sources)):
        text = answers.text(source)
        if not text:
            if contents.has_sections:
                embedded = empty_text if source in empty else None
            else:
                embedded = found[source] if source < len(found) else None
            records.append(
                bytes((ABSENT,)) if embedded is None else pack_embedded_text(embedded.start, 0, [])
            )
            continue
        digest = sha256(text).digest()
        if (entry := entries.get(digest)) is not None:
            records.append(pack_entry_text(entry))
        elif (embedded := by_sha256.get(digest)) is not None:
            steps = line_steps(source_map[embedded.start : embedded.start + embedded.length])
            records.append(pack_embedded_text(embedded.start, embedded.length, steps))
        else:
            raise NoTable(f"the text of source {source} was not found in the map")
    return records
