"""How much can be converted at once: by cores, and by memory."""

import os

from srcpack.bundle.members import DEFAULT_LIMITS, Limits

__all__ = ["cores", "memory_bound", "memory_of"]

_MIB = 1 << 20


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_of(size: int, limits: Limits = DEFAULT_LIMITS, *, lookups: bool = False) -> int:
    """Return how much memory the conversion of a bundle takes, by the bytes of its zip; an estimate.

    Measured in docs/batch.md. Small zips may hold very many files, which take more than their contents; in
    large ones the largest file matters, and its size is limited. One that is packed far better than source
    code is takes more.
    """
    # symbolic takes some 16 bytes for each of a script and its map, in a process of its own.
    symbolic = 64 * _MIB + min(32 * size, 1024 * _MIB) if lookups else 0
    return 64 * _MIB + min(20 * size, 512 * _MIB + 2 * min(size, limits.max_file_size)) + symbolic


def memory_bound() -> int | None:
    """Return three quarters of the memory that this machine or container has; None where it is not said."""
    if not hasattr(os, "sysconf"):
        return None
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            total = min(total, int(file.read()))
    except (OSError, ValueError):  # no container of this sort, or no limit
        pass
    return max(1, total // 4 * 3)
