"""The members of a bundle as conversion reads them: each with its facts, or why it cannot be read."""

from collections.abc import Iterator
from typing import NamedTuple

from srcpack.bundle.manifest_records import records_of
from srcpack.bundle.members import SourceBundle
from srcpack.errors import DamagedMember
from srcpack.records import EntryRecord
from srcpack.rules.content_facts import facts_of, with_facts
from srcpack_convert.one.options import Options

__all__ = ["ReadMember", "distinct", "read_members"]


class ReadMember(NamedTuple):
    """A member that was read: its entry has the facts of the content, or why it cannot be read.

    The content is empty where it cannot be read, or where the same was read before; the size is that in the
    directory.
    """

    record: EntryRecord
    content: bytes
    size: int
    keep_raw: bool


def read_members(bundle: SourceBundle, options: Options) -> Iterator[ReadMember]:
    """Read all members, and what only the manifest lists, in the order of their names."""
    members = bundle.members
    # Equal contents are stored once: raw, if one of their names is to be. Nearly always these are equal.
    raw = {(member.crc, member.size) for name, member in members.items() if options.stores_raw(name)}
    for record in records_of(bundle):
        member = members.get(record.name)
        size = 0 if member is None else member.size
        try:
            content = bundle.read(record.name)
        except DamagedMember as error:
            yield ReadMember(record._replace(reason=error.reason), b"", size, keep_raw=False)
            continue
        facts = facts_of(content, record.type, record.headers)
        keep_raw = member is not None and (member.crc, member.size) in raw
        yield ReadMember(with_facts(record, facts), content, size, keep_raw)


def distinct(members: Iterator[ReadMember]) -> Iterator[ReadMember]:
    """Yield the members, each content only with the first that has it."""
    seen: set[bytes] = set()
    for member in members:
        digest = member.record.sha256
        if digest in seen:
            yield member._replace(content=b"")
        else:
            seen.add(digest)
            yield member
