"""JavaScript frames, resolved as symbolicator does.

A frame goes through these steps in their order: is there a line; the minified file; its source map; the
token at the position; what the function, the file and the module are called; the lines around the place.
What is found for a file of the event is kept until the event is done.

Rule source: symbolicator 87e6456 `symbolicator-js/src/symbolication.rs` (symbolicate_js_frame) and
`symbolicator-js/src/lookup.rs` (SourceMapLookup, CachedFile).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from srcpack.errors import LookupUnavailable, MalformedSourceMap, SrcpackError, is_from_outside
from srcpack.records import FileType
from srcpack.resolve.file_text import FEW_PARTS, FileText, UnreadableError, lines_of_frame
from srcpack.resolve.resolved import DecodedMap, Resolved
from srcpack.resolve.search import FileSearch
from srcpack.rules.context import CONTEXT_LINES, Context, SourceText, get_context
from srcpack.rules.debug_id import DebugId
from srcpack.rules.stack_frames import (
    fixup_turbopack_filename,
    fixup_webpack_filename,
    fold_function_name,
    generate_module,
    get_function_for_token,
)
from srcpack.rules.urls import join_paths, source_map_url
from srcpack.rules.whatwg_url import parses_as_url
from srcpack.store import Lookup, Token

__all__ = ["Answer", "FrameError", "JavaScriptFrame", "JavaScriptFrames"]

JavaScriptFrame: TypeAlias = dict[str, Any]
"""The fields of a frame that are known, as JSON has them; no value is None, and `data` is always there."""

FrameError: TypeAlias = dict[str, Any]
"""Why a frame, or a part of it, could not be resolved: symbolicator's kind as `type`, and its facts."""

_SCHEMES_OF_MODULES = ("http:", "https:", "webpack:", "turbopack:", "app:")


class Answer(NamedTuple):
    """What came of a frame.

    Attributes:
        frame: The frame as resolved; None if it cannot be.
        error: Why not, or what is missing all the same; None if nothing is.
        token_name: What the next frame's function may be called: the name of the token here.
    """

    frame: JavaScriptFrame | None
    error: FrameError | None = None
    token_name: str | None = None


class _Map(NamedTuple):
    """The source map of a file: its lookup, or why there is none; what to say of where it is from."""

    lookup: Lookup | None
    error: FrameError | None
    data: Mapping[str, Any]


class _Script(NamedTuple):
    """A minified file; without a map where it refers to none and nothing else says that it has one."""

    text: FileText
    source_base: str
    source_map: _Map | None


class JavaScriptFrames:
    """Resolves the frames of one event, one after the other, in one thread.

    Args:
        search: Finds and reads files.
        debug_ids: The debug ids that the event gives for files; None for a text that is no debug id.
        apply_source_context: Whether the lines around each place are wanted.
    """

    def __init__(
        self, search: FileSearch, debug_ids: Mapping[str, DebugId | None], *, apply_source_context: bool
    ) -> None:
        self._search = search
        self._debug_ids = debug_ids
        self._wants_context = apply_source_context
        self._scripts: dict[str, _Script | FrameError] = {}
        self._sources: dict[str, SourceText | None] = {}
        self._contents: dict[str, SourceText] = {}
        self._texts: dict[tuple[Lookup, int | str, str], SourceText] = {}
        self._parts: Counter[tuple[Lookup, int | str]] = Counter()
        self._tokens: dict[Token, Token] = {}

    def resolve(self, raw: JavaScriptFrame, caller_token_name: str | None) -> Answer:
        """Resolve a frame.

        Args:
            raw: The frame, with `abs_path` and `lineno`. It gets the lines around it in the minified file;
                and where its map is from, if that is malformed.
            caller_token_name: What the frame before handed on; None if nothing.
        """
        abs_path, line = raw["abs_path"], raw["lineno"]
        if line == 0:
            return Answer(None, {"type": "invalid_location", "line": 0, "col": raw.get("colno")})
        script = self._scripts.get(abs_path)
        if script is None:
            script = self._load_script(abs_path, (line, raw.get("colno", 0)))
        try:
            answer = self._resolve(raw, caller_token_name, script)
        except UnreadableError:
            # The part that was read was right. Now all of it has to be, of this one or of the next.
            script = self._load_script(abs_path, None)
            answer = self._resolve(raw, caller_token_name, script)
        self._scripts[abs_path] = script
        return answer

    def _resolve(
        self, raw: JavaScriptFrame, caller_token_name: str | None, script: _Script | FrameError
    ) -> Answer:
        if not isinstance(script, _Script):
            return Answer(None, script)
        line, column = raw["lineno"], raw.get("colno", 0)
        context = script.text.context(line, column) if self._wants_context else None
        found, token, failure = script.source_map, None, None
        if found is not None and found.lookup is not None:
            try:
                token = found.lookup.token(line, column)
            except (SrcpackError, OSError) as problem:
                if is_from_outside(problem):
                    raise
                # A table was damaged, and symbolic could not answer in its place.
                failure = {"type": "lookup_unavailable", "reason": str(problem)}
        # Before the raw frame gets the minified lines: they are no context of what it is resolved to.
        frame = _copy(raw)
        raw.update(lines_of_frame(context))
        if found is None:
            return Answer(_copy(raw), None, raw.get("token_name"))
        if found.lookup is None:
            raw["data"].update(found.data)
            return Answer(None, found.error)
        if token is None:
            return Answer(None, failure or {"type": "invalid_location", "line": line, "col": column})
        # Frames of one token share its names, however long they are.
        token = self._tokens.setdefault(token, token)
        frame["data"].update(found.data, sourcemap=script.source_base, symbolicated=True)
        _apply_names(frame, token, script.source_base, caller_token_name)
        error = self._apply_source(frame, token, found.lookup, script) if self._wants_context else None
        return Answer(frame, error, token.position.name)

    # ---- the minified file and its map

    def _load_script(self, abs_path: str, place: tuple[int, int] | None) -> _Script | FrameError:
        """Find the minified file, the first that can be read around a place, or whole where there is none."""
        debug_id = self._debug_ids.get(abs_path)
        # What its own reference is joined to is found out below.
        for script in self._search.find_all(abs_path, debug_id, FileType.MINIFIED_SOURCE, abs_path):
            text = FileText(self._search, script)
            try:
                if place is None:
                    text.whole()
                elif self._wants_context:
                    # The column counts UTF-16 units from 1; symbolicator takes it for bytes from 0; so below.
                    text.context(*place)
                return self._with_map(script, text, abs_path, debug_id)
            except UnreadableError:
                continue
        return _missing("missing_source", abs_path)

    def _with_map(
        self, script: Resolved, text: FileText, abs_path: str, debug_id: DebugId | None
    ) -> _Script | FrameError:
        reference = script.entry.source_mapping_url
        url = None
        if reference is not None:
            try:
                url = source_map_url(abs_path, reference)
            except ValueError:
                # The file is there, and symbolicator takes it for unreadable.
                return {"type": "missing_source"}
        if isinstance(url, bytes):
            return _Script(text, abs_path, self._embedded_map(script, text, url))
        source_map = None
        if url is not None or debug_id is not None:
            source_map = self._load_map(script, text, url, debug_id)
        return _Script(text, abs_path if url is None else url, source_map)

    def _embedded_map(self, script: Resolved, text: FileText, content: bytes) -> _Map:
        decoded = DecodedMap(content=content, source_base=script.abs_path)
        data = {"sourcemap_origin": "embedded", "resolved_with": self._resolved_with(script)}
        return self._map(script, text, decoded, script.abs_path, data)

    def _load_map(self, script: Resolved, text: FileText, url: str | None, debug_id: DebugId | None) -> _Map:
        label = script.abs_path if url is None else url
        for found in self._search.find_all(url, debug_id, FileType.SOURCE_MAP, label):
            key = {} if url is None else {"abs_path": url}
            if debug_id is not None:
                key["debug_id"] = str(debug_id)
            origin = [self._search.origin(found.pack).uri, {"source_map": key}]
            data = {"sourcemap_origin": {"bundled": origin}, "resolved_with": self._resolved_with(found)}
            # A map's own reference is joined to its URL and goes unused; what cannot be joined is malformed.
            own = found.entry.source_mapping_url
            if own is not None and (url is None or not _is_readable(own)):
                return _Map(None, {"type": "malformed_sourcemap", "url": label}, data)
            try:
                return self._map(script, text, found, label, data)
            except (SrcpackError, OSError) as error:
                if is_from_outside(error):
                    raise
                continue  # not here, as it was reported
        return _Map(
            None, {"type": "missing_sourcemap"} if url is None else _missing("missing_sourcemap", url), {}
        )

    def _map(
        self,
        script: Resolved,
        text: FileText,
        source_map: Resolved | DecodedMap,
        label: str | None,
        data: Mapping[str, Any],
    ) -> _Map:
        try:
            lookup = self._search.lookup(script, source_map, lambda: text.whole().text)
        except MalformedSourceMap:
            return _Map(None, {"type": "malformed_sourcemap", "url": label}, data)
        except LookupUnavailable as error:
            return _Map(None, {"type": "lookup_unavailable", "reason": str(error)}, {})
        return _Map(lookup, None, data)

    def _resolved_with(self, found: Resolved) -> str:
        return "debug-id" if found.found_by == "debug-id" else self._search.origin(found.pack).resolved_with

    # ---- the original source

    def _apply_source(
        self, frame: JavaScriptFrame, token: Token, lookup: Lookup, script: _Script
    ) -> FrameError | None:
        line, column = token.position.line, token.position.column
        try:
            is_embedded, context = self._embedded_context(lookup, token, line, column)
        except (SrcpackError, OSError) as error:
            if is_from_outside(error):
                raise
            # The table is damaged, and symbolic could not answer in its place.
            is_embedded, context = False, None
        if not is_embedded:
            url = join_paths(script.source_base, token.position.source)
            source = self._source(url)
            if source is None:
                return {"type": "missing_source_content", "source": url, "sourcemap": script.source_base}
            context = source.context(line, column)
        frame.update(lines_of_frame(context))
        return None

    def _embedded_context(
        self, lookup: Lookup, token: Token, line: int, column: int
    ) -> tuple[bool, Context | None]:
        """Say whether the map embeds the token's source, and return the lines around a place in it."""
        self._parts[lookup, token.source] += 1
        if self._parts[lookup, token.source] <= FEW_PARTS:
            found = lookup.source_lines(token, line, CONTEXT_LINES)
            if found is None:
                return False, None
            first, lines = found
            return True, get_context(lines, line - first + 1, column)
        # With its name: a table that turns out damaged is left for symbolic, which numbers sources otherwise.
        key = lookup, token.source, token.position.source
        text = self._texts.get(key)
        if text is None:
            content = lookup.content(token)
            if content is None:
                return False, None
            text = self._texts[key] = self._contents.setdefault(content, SourceText(content))
        return True, text.context(line, column)

    def _source(self, url: str) -> SourceText | None:
        """Find an original source that the map does not embed."""
        if url not in self._sources:
            self._sources[url] = None
            for found in self._search.find_all(url, None, FileType.SOURCE, url):
                try:
                    text = FileText(self._search, found).whole()
                except UnreadableError:
                    continue
                reference = found.entry.source_mapping_url
                if reference is None or _is_readable(reference):
                    self._sources[url] = text
                break
        return self._sources[url]


def _copy(frame: JavaScriptFrame) -> JavaScriptFrame:
    return {**frame, "data": dict(frame["data"])}


def _missing(kind: str, url: str) -> FrameError:
    """Say of a file that no bundle has whether it could be fetched, were it not for this being off."""
    return {"type": "scraping_disabled" if parses_as_url(url) else kind}


def _is_readable(reference: str) -> bool:
    """Whether symbolicator can read a file that has this reference to a source map."""
    try:
        source_map_url("", reference)
    except ValueError:
        return False
    return True


def _apply_names(
    frame: JavaScriptFrame, token: Token, source_base: str, caller_token_name: str | None
) -> None:
    """Say which function, file, module, line and column a token is of."""
    position = token.position
    raw_function = frame.get("function")
    function = position.function
    if function == "<unknown>":
        function = "<unknown>" if raw_function is None else raw_function
    elif function.startswith("$async$") and position.name:
        # What dart2js makes of an async function.
        function = position.name
    frame["function"] = fold_function_name(get_function_for_token(raw_function, function, caller_token_name))
    if name := position.source:
        frame["abs_path"] = join_paths(source_base, name)
        short = name
        if name.startswith("webpack:"):
            short = fixup_webpack_filename(name)
        elif name.startswith("turbopack:"):
            short = fixup_turbopack_filename(name)
        if name.startswith(("webpack:", "turbopack:")):
            frame["module"] = generate_module(short)
        elif "module" not in frame and frame["abs_path"].startswith(_SCHEMES_OF_MODULES):
            frame["module"] = generate_module(frame["abs_path"])
        frame["filename"] = short
    frame["lineno"], frame["colno"] = position.line, position.column
