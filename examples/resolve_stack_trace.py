"""Resolve minified stack traces from a pack, with several threads that share it.

    pip install srcpack symbolic
    python examples/resolve_stack_trace.py

The bundle is the small web shop in fixtures/. The traces are what Node.js printed for three mistakes in
calling it: an item that is null, a day that is no date, and no list of items at all. (The frames of Node.js
itself are left out, and the last URL was given a query.)
"""

import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import srcpack
from srcpack import ContentCache, PackSet
from srcpack_convert import convert

BUNDLE = Path(__file__).parents[1] / "fixtures" / "bundles" / "app.zip"

TRACES = (
    """\
TypeError: Cannot read properties of null (reading 'id')
    at s.add (https://shop.example/static/app.min.js:1:195)
    at Object.f [as order] (https://shop.example/static/app.min.js:1:787)
    at pay (https://shop.example/checkout.js:3:15)
    at async checkout (https://shop.example/checkout.js:6:3)""",
    """\
TypeError: o.toISOString is not a function
    at i (https://shop.example/static/app.min.js:1:700)
    at Object.f [as order] (https://shop.example/static/app.min.js:1:827)
    at https://shop.example/checkout.js:2:12""",
    """\
TypeError: o is not iterable
    at Object.f [as order] (https://shop.example/static/app.min.js?v=3:1:783)""",
)

FRAME = re.compile(r" +at (?:(?P<function>.*) \()?(?P<url>.*?):(?P<line>\d+):(?P<column>\d+)\)?")


def resolve_trace(packs: PackSet, trace: str) -> str:
    """Return a trace with each frame that can be resolved as it was before minification."""
    shown: list[str] = []
    for line in trace.splitlines():
        frame = FRAME.fullmatch(line)
        shown += [line] if frame is None else resolve_frame(packs, frame)
    return "\n".join(shown)


def resolve_frame(packs: PackSet, frame: re.Match[str]) -> Iterator[str]:
    """Yield the frame's function, file and line, then the lines around; or the frame as it is."""
    minified = packs.resolve(frame["url"])
    found = packs.source_map_for(minified) if minified is not None else None
    if minified is None or found is None:
        yield f"{frame[0]}  (not in the pack)"
        return
    position = packs.original_position(minified, found, int(frame["line"]), int(frame["column"]))
    if position is None or not position.source:
        yield f"{frame[0]}  (not in the source map)"
        return
    function = position.function if position.function != "<unknown>" else frame["function"]
    yield f"    at {function} ({position.source}:{position.line}:{position.column})"
    source = packs.original_source(minified, position.source)
    context = (
        source.entry.context(position.line, lines=1, column=position.column) if source is not None else None
    )
    if context is not None:
        for mark, lines in (
            ("|", context.pre_context),
            (">", [context.context_line]),
            ("|", context.post_context),
        ):
            yield from (f"       {mark} {line}" for line in lines)


def main() -> None:
    """Convert the bundle, resolve all traces at once, and print them in order."""
    with tempfile.TemporaryDirectory() as folder:
        convert(BUNDLE, Path(folder) / "app.srcpack")
        pack = srcpack.open(Path(folder) / "app.srcpack")
        packs = PackSet([pack], content_cache=ContentCache(max_bytes=64 << 20))
        with ThreadPoolExecutor(max_workers=4) as threads:
            for resolved in threads.map(lambda trace: resolve_trace(packs, trace), TRACES):
                print(resolved)
                print()


if __name__ == "__main__":
    main()
