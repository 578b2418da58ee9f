"""The type of a file in a SourceBundle (SPEC.md, "Entry": `type`)."""

from enum import StrEnum

__all__ = ["FileType"]


class FileType(StrEnum):
    """The four types that symbolic knows; any other makes it refuse the bundle."""

    SOURCE = "source"
    MINIFIED_SOURCE = "minified_source"
    SOURCE_MAP = "source_map"
    INDEXED_RAM_BUNDLE = "indexed_ram_bundle"

    @classmethod
    def _missing_(cls, value: object) -> "FileType":
        raise ValueError(f"{value!r} is no type of file: they are {', '.join(cls)}")
