"""How the URLs of a JavaScript or JVM stack frame lead to the URLs that a bundle's files have.

None of this is RFC 3986: symbolicator has rules of its own, and finds nothing by any other.

Rule source: symbolicator 87e6456 `symbolicator-js/src/utils.rs`, `symbolicator-js/src/lookup.rs`
(`SourceMapUrl`) and `symbolicator-proguard/src/symbolication.rs`; for `data:` URLs the Fetch Standard,
<https://fetch.spec.whatwg.org/#data-urls>, as the crate `data-url` implements it.
"""

import base64
import re

from srcpack.rules.whatwg_url import C0_AND_SPACE

__all__ = ["candidate_urls", "file_stem", "join_paths", "jvm_source_url", "source_map_url", "strip_hostname"]

_STEM_SUFFIXES = (".min", ".js", ".map", ".cjs", ".mjs", ".ts", ".d", ".jsx", ".tsx")
# Within the header of a data: URL, tabs and newlines were taken out before this is looked for.
_BASE64_MARK = re.compile(r"; *base64", re.IGNORECASE | re.ASCII)
_ESCAPED_OR_SKIPPED = re.compile(rb"%([0-9a-fA-F]{2})|[\t\n\r]")
_BASE64_TEXT = re.compile(rb"([A-Za-z0-9+/]*)(=*)")


def candidate_urls(url: str) -> list[str]:
    """List the URLs that a file can have in a bundle, in the order they are tried.

    Without the fragment: the URL, the URL without query, `~` and the path, `~` and the path without query.
    The two without query are there only if there is one. A URL can occur twice.
    """
    url = url.partition("#")[0]
    relative = strip_hostname(url)
    candidates = [url]
    if "?" in url:
        candidates.append(url.partition("?")[0])
    candidates.append(f"~{relative}")
    if "?" in relative:
        candidates.append(f"~{relative.partition('?')[0]}")
    return candidates


def strip_hostname(path: str) -> str:
    """Take the scheme and host, or the leading `~`, off a URL; what is left begins with `/`.

    A URL without a path keeps its host; a path is left as it is.
    """
    if path.startswith("~"):
        return path[1:]
    _, found, rest = path.partition("://")
    if not found:
        return path
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else rest


def join_paths(base: str, right: str) -> str:
    """Resolve a reference against the URL or path of the file that it is in.

    A leading `~` of the reference counts as the host of `base`. With `://` in it, or `webpack:` or
    `turbopack:` in front, it is absolute. A `..` at the top is dropped for http and https; for others it is
    kept, as a segment that a further `..` takes away. Double slashes are closed up.
    """
    if "://" in right or right.startswith(("webpack:", "turbopack:")):
        return right
    scheme, found, rest = base.partition("://")
    if not found:
        scheme, rest = "file", base
    right = right.removeprefix("~")
    segments = rest.split("/")
    if right.startswith("/"):
        if scheme == "file":
            return right
        if right.startswith("//"):
            return f"{scheme}:{right}"
        return f"{scheme}://{segments[0]}{right}"

    if scheme != "file":
        root = f"{scheme}://{segments.pop(0)}"
    else:
        root = ""
        if not segments[0]:
            segments.pop(0)
    # The last segment is the file's own name.
    del segments[-1:]
    is_http = scheme in ("http", "https")
    at_start = True
    for segment in right.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
                continue
            if is_http:
                continue
        if segment == "." and (is_http or at_start):
            continue
        at_start = False
        segments.append(segment)
    return root + "".join(f"/{segment}" for segment in segments if segment)


def file_stem(path: str) -> str:
    """Shorten a URL to what its file, its minified form and its source map have in common.

    That is the path without host, query, fragment and endings such as `.min.js.map`. If nothing but a name is
    left after the host, it is that name as it is.
    """
    folder, slash, name = strip_hostname(path).rpartition("/")
    if not slash:
        return name
    name = name.partition("?")[0].partition("#")[0]
    end = len(name)
    while True:
        # No ending has a second dot in it, so one at most fits, and their order does not matter.
        ending = next((suffix for suffix in _STEM_SUFFIXES if name.endswith(suffix, 0, end)), None)
        if ending is None:
            return f"{folder}/{name[:end]}"
        end -= len(ending)


def source_map_url(base: str, reference: str) -> str | bytes:
    """Say where the source map is that a minified file refers to, by a header or a comment.

    That is the map itself, UTF-8, if the reference is a `data:` URL; else its URL. Raises ValueError if the
    `data:` URL does not decode to UTF-8.
    """
    if reference.startswith("data:"):
        return _data_url_content(reference)
    return join_paths(base, reference)


def jvm_source_url(module: str, abs_path: str | None = None) -> str:
    """Build the URL that the source file of a JVM frame has in a bundle, by the full name of the class.

    The frame's file name counts if it has an ending and no `$`; else the name of the outermost class does.
    The ending is always `.jvm`, as the language is not known.
    """
    if abs_path is not None and "." in abs_path and "$" not in abs_path:
        package, dot, _ = module.rpartition(".")
        stem = package.replace(".", "/") + ("/" if dot else "") + abs_path.rpartition(".")[0]
    else:
        stem = module.partition("$")[0].replace(".", "/")
    return f"~/{stem}.jvm"


def _data_url_content(url: str) -> bytes:
    text = url.removeprefix("data:").rstrip(C0_AND_SPACE).partition("#")[0]
    header, comma, body = text.partition(",")
    if not comma:
        raise ValueError("the data: URL has no comma")
    content = _ESCAPED_OR_SKIPPED.sub(_unescaped, body.encode("utf-8", "surrogatepass"))
    if _says_base64(header):
        content = _base64_decoded(content)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the data: URL's content is not UTF-8: {error.reason}") from error
    return content


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else b""


def _says_base64(header: str) -> bool:
    shown = header.translate({ord(skipped): None for skipped in "\t\n\r"}).strip(" ")
    mark = shown.rfind(";")
    return mark >= 0 and _BASE64_MARK.fullmatch(shown, mark) is not None


def _base64_decoded(text: bytes) -> bytes:
    """Decode leniently, <https://infra.spec.whatwg.org/#forgiving-base64-decode>."""
    match = _BASE64_TEXT.fullmatch(text.translate(None, b" \t\n\f\r"))
    if match is None:
        raise ValueError("the data: URL's content is not base64")
    symbols, padding = match[1], match[2]
    missing = -len(symbols) % 4
    if missing == 3 or (padding and len(padding) != missing):
        raise ValueError("the data: URL's base64 is cut short or padded wrongly")
    return base64.b64decode(symbols + b"=" * missing)
