"""The cache of open packs: bounds, replaced files, the limit of open files."""

import os
import resource
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import srcpack
from srcpack import FormatError, Pack, PackCache
from srcpack.resolve import pack_cache
from srcpack_convert import convert
from support.bundle_builder import build_bundle


def pack_file(path: Path, files: dict[str, bytes]) -> Path:
    bundle = build_bundle(files, {"files": {name: {} for name in files}})
    convert(bundle, path, dictionary="off", verify=False, force=True)
    return path


def opener_that_counts(opened: list[str]) -> Callable[[str], Pack]:
    def open_one(path: str) -> Pack:
        opened.append(Path(path).stem)
        return srcpack.open(path)

    return open_one


def test_a_pack_is_opened_once_and_the_least_recently_used_goes(tmp_path: Path) -> None:
    paths = {name: pack_file(tmp_path / f"{name}.srcpack", {"f": name.encode()}) for name in "abc"}
    opened: list[str] = []
    cache = PackCache(2, opener=opener_that_counts(opened))
    for name in "abbacac":
        assert cache.get(paths[name])["f"].read() == name.encode()
    assert opened == ["a", "b", "c"]
    cache.get(str(paths["b"]))
    cache.get(paths["a"])
    assert opened == ["a", "b", "c", "b", "a"]
    assert cache.statistics == (4, 5, 3, 0, 2)
    assert repr(cache) == "<PackCache of 2 of 2 packs>"


def test_a_pack_that_goes_is_closed_when_its_last_user_is_gone(tmp_path: Path) -> None:
    first, second = (pack_file(tmp_path / f"{name}.srcpack", {"f": b"content"}) for name in "ab")
    cache = PackCache(1)
    entry = cache.get(first)["f"]
    gone = weakref.ref(entry.pack)
    cache.get(second)
    assert entry.read() == b"content"
    del entry
    assert gone() is None
    gone = weakref.ref(cache.get(first))
    assert gone() is not None
    cache.get(second)
    assert gone() is None


def test_a_replaced_file_is_opened_anew(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    old = cache.get(path)
    pack_file(tmp_path / "a.srcpack", {"f": b"new"})
    new = cache.get(path)
    assert (old["f"].read(), new["f"].read()) == (b"old", b"new")
    assert cache.get(path) is new
    assert cache.statistics == (1, 2, 0, 1, 1)


def test_a_file_that_is_gone_is_an_error_and_is_dropped(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    cache.get(path)
    path.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            cache.get(path)
    assert cache.statistics == (0, 3, 0, 1, 0)


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    opened: list[str] = []

    def open_and_replace(name: str) -> Pack:
        pack = srcpack.open(name)
        if len(opened) < replacements:
            pack_file(path, {"f": b"new %d" % len(opened)})
        opened.append(name)
        return pack

    cache = PackCache(5, opener=open_and_replace)
    replacements = 1
    assert cache.get(path)["f"].read() == b"new 0"
    assert len(opened) == 2
    # One that never comes to rest is handed out, and not kept.
    opened.clear()
    replacements = 100
    path.write_bytes(path.read_bytes())
    assert cache.get(path)["f"].read() == b"new 1"
    assert (len(opened), cache.statistics.open) == (3, 0)


def test_who_opens_a_pack_that_another_thread_kept_meanwhile_gets_that_one(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    others: list[Pack] = []

    def overtaken(name: str) -> Pack:
        pack = srcpack.open(name)
        if not others:  # what another thread does before this one comes to keep its pack
            others.append(pack)
            others.append(cache.get(path))
        return pack

    cache = PackCache(5, opener=overtaken)
    assert cache.get(path) is others[1]
    assert others[0] is not others[1]
    assert cache.statistics == (0, 2, 0, 0, 1)


def test_a_cache_closed_while_a_pack_is_opened_hands_it_out_and_keeps_nothing(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})

    def open_and_close(name: str) -> Pack:
        cache.close()
        return srcpack.open(name)

    cache = PackCache(5, opener=open_and_close)
    assert cache.get(path)["f"].read() == b"content"
    assert cache.statistics.open == 0


def test_two_threads_that_find_a_file_replaced_drop_the_old_pack_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"old"})
    cache = PackCache(5)
    cache.get(path)
    pack_file(path, {"f": b"new"})
    stat = os.stat
    others: list[Pack] = []

    def stat_and_be_overtaken(name: str) -> os.stat_result:
        if not others:  # this thread saw the old pack; another one replaces it now
            monkeypatch.setattr(os, "stat", stat)
            others.append(cache.get(path))
        return stat(name)

    monkeypatch.setattr(os, "stat", stat_and_be_overtaken)
    assert cache.get(path) is others[0]
    assert others[0]["f"].read() == b"new"
    assert cache.statistics == (0, 3, 0, 1, 1)


def test_what_is_no_pack_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.srcpack"
    path.write_bytes(b"no pack")
    cache = PackCache(5)
    with pytest.raises(FormatError):
        cache.get(path)
    assert cache.statistics == (0, 1, 0, 0, 0)


def test_a_closed_cache_gives_no_more_and_leaves_what_is_in_use(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    with PackCache(5) as cache:
        pack = cache.get(path)
    assert pack["f"].read() == b"content"
    assert cache.statistics.open == 0
    with pytest.raises(ValueError, match="get from a closed cache"):
        cache.get(path)


def test_max_open_is_at_least_1() -> None:
    with pytest.raises(ValueError, match="max_open is at least 1, not 0"):
        PackCache(0)


def test_threads_that_want_one_pack_at_once_get_the_same(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    barrier = threading.Barrier(8)

    def slowly(name: str) -> Pack:
        time.sleep(0.01)
        return srcpack.open(name)

    cache = PackCache(5, opener=slowly)

    def get(_: int) -> Pack:
        barrier.wait()
        return cache.get(path)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(get, range(8)))) == 1
    assert cache.statistics.open == 1


def test_a_pack_that_goes_may_ask_for_another(tmp_path: Path) -> None:
    paths = [pack_file(tmp_path / f"{number}.srcpack", {"f": b"%d" % number}) for number in range(4)]
    cache, asked = PackCache(2), list[bytes]()
    for number, path in enumerate(paths):
        weakref.finalize(cache.get(path), lambda: asked.append(cache.get(paths[0])["f"].read()))
        assert cache.get(path)["f"].read() == b"%d" % number
    assert asked
    assert set(asked) == {b"0"}
    assert cache.statistics.open <= 2


# ---- the limit of open files

LIMITED = """
import resource, socket, sys
import srcpack
limit, most, sockets, *paths = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
others = [socket.socket() for _ in range(int(sockets))]
with srcpack.PackCache(max_open=int(most)) as cache:
    for _ in range(2):
        for path in paths:
            assert cache.get(path)["f"].view() == b"content"
    print(cache.statistics.open)
"""


@pytest.mark.parametrize("sockets", [5, 40, 55])
def test_a_cache_of_more_packs_than_files_may_be_open(tmp_path: Path, sockets: int) -> None:
    """README's example has 1,000 where a process may usually open 1,024 files, and on macOS 256."""
    limit = 64
    first = pack_file(tmp_path / "0.srcpack", {"f": b"content"})
    paths = [tmp_path / f"{number}.srcpack" for number in range(70)]
    for path in paths[1:]:
        path.write_bytes(first.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "1000", str(sockets), *paths],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout)
    assert kept == limit * 3 // 4 if sockets == 5 else 0 < kept < limit - sockets


def test_where_nothing_can_go_the_error_is_passed_on(tmp_path: Path) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})

    def fail(_: str) -> Pack:
        raise OSError(24, "Too many open files")

    with pytest.raises(OSError, match="Too many open files"):
        PackCache(5, opener=fail).get(path)


def test_packs_at_urls_are_no_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack_file(tmp_path / "a.srcpack", {"f": b"content"})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4, 4))
    cache = PackCache(100, opener=lambda _: srcpack.open(path.read_bytes()))
    for number in range(20):
        cache.get(f"https://host.invalid/{number}.srcpack")
    assert cache.statistics.open == 20


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, None])
def test_where_files_have_no_limit_max_open_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    if limit is None:  # Windows
        monkeypatch.setattr(pack_cache, "resource", None)
    else:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    cache = PackCache(3)
    for number in range(5):
        cache.get(pack_file(tmp_path / f"{number}.srcpack", {"f": b"content"}))
    assert cache.statistics.open == 3
