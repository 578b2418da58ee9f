"""Whether a text is an absolute URL to a browser: <https://url.spec.whatwg.org/#url-parsing>, without a base.

symbolicator says of a file that no bundle has "scraping is disabled" if its URL could be fetched at all,
and "missing" if it does not parse. Only that is told here: nothing is built of a URL, and only what can
make it fail is looked at, which are its scheme, host and port.

Of hosts that are not ASCII, the tables of IDNA (Unicode Technical Standard 46) are not at hand: in place
of them stand normalisation, the categories of characters, and whether a label's Punycode decodes.

Rule source: symbolicator 87e6456 `symbolicator-js/src/lookup.rs` (ArtifactFetcher::scrape), the crate `url`.
"""

import re
import unicodedata
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote_to_bytes

__all__ = ["C0_AND_SPACE", "parses_as_url"]

C0_AND_SPACE = "".join(map(chr, range(0x21)))
_TABS_AND_NEWLINES = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_SPECIAL_SCHEMES = frozenset(("http", "https", "ws", "wss", "ftp"))
_FORBIDDEN_IN_HOST = re.compile(r"[\x00\t\n\r #/:<>?@\[\\\]^|]").search
_FORBIDDEN_IN_DOMAIN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]").search
_DRIVE_LETTER = re.compile("[a-zA-Z][:|]").fullmatch
_DIGITS = re.compile("[0-9]+").fullmatch
_HEX_NUMBER = re.compile("0[xX][0-9a-fA-F]*").fullmatch
_OCTAL_NUMBER = re.compile("0[0-7]*").fullmatch
_FULL_STOPS = str.maketrans("。．｡", "...")
_IGNORED = re.compile("[\u00ad\u034f\u180b-\u180f\u200b\u2060\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]")
_MOST_DIGITS = 11
_LONGEST_LABEL = 2000
"""Characters of a label over which the crate `idna` refuses it: to decode them takes their square."""


def parses_as_url(text: str) -> bool:
    """Say whether a text, such as a frame's `abs_path`, is an absolute URL."""
    text = text.strip(C0_AND_SPACE).translate(_TABS_AND_NEWLINES)
    match = _SCHEME.match(text)
    if match is None:
        return False
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in _SPECIAL_SCHEMES:
        authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
        return _has_good_host(authority, _is_domain)
    if scheme == "file":
        if re.match(r"[/\\]{2}", rest) is None:
            return True
        host = re.split(r"[/\\?#]", rest[2:], maxsplit=1)[0]
        return not host or _DRIVE_LETTER(host) is not None or _is_host(host, _is_domain)
    if not rest.startswith("//"):
        return True
    authority = re.split("[/?#]", rest[2:], maxsplit=1)[0]
    return not authority or _has_good_host(authority, _is_opaque_host)


def _has_good_host(authority: str, is_name: Callable[[str], bool]) -> bool:
    host = authority.rpartition("@")[2]
    port = ""
    after_bracket = host.rfind("]") + 1
    colon = host.find(":", after_bracket)
    if colon >= 0:
        host, port = host[:colon], host[colon + 1 :]
    return bool(host) and _is_port(port) and _is_host(host, is_name)


def _is_port(text: str) -> bool:
    digits = text.lstrip("0")
    return not text or (_DIGITS(text) is not None and len(digits) <= 5 and int(digits or "0") <= 0xFFFF)


def _is_host(host: str, is_name: Callable[[str], bool]) -> bool:
    if host.startswith("["):
        return host.endswith("]") and _is_ipv6(host[1:-1])
    return is_name(host)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return "%" not in text  # no zones


def _is_opaque_host(host: str) -> bool:
    return _FORBIDDEN_IN_HOST(host) is None


def _is_domain(host: str) -> bool:
    try:
        domain = unquote_to_bytes(host).decode()
    except UnicodeError:
        return False
    if not domain.isascii():
        if max(map(len, domain.translate(_FULL_STOPS).split("."))) > _LONGEST_LABEL:
            return False
        domain = _IGNORED.sub("", unicodedata.normalize("NFKC", domain.casefold())).translate(_FULL_STOPS)
        if _has_control_or_space(domain):
            return False
    if not domain or _FORBIDDEN_IN_DOMAIN(domain):
        return False
    labels = domain.lower().split(".")
    if any(label.startswith("xn--") and not _is_punycode(label[4:]) for label in labels):
        return False
    if not labels[-1] and len(labels) > 1:
        labels.pop()
    if _DIGITS(labels[-1]) or _HEX_NUMBER(labels[-1]):
        return _is_ipv4(labels)
    return True


def _is_punycode(text: str) -> bool:
    if len(text) > _LONGEST_LABEL:
        return False
    try:
        decoded = text.encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return not decoded.isascii() and not _has_control_or_space(decoded)


def _has_control_or_space(text: str) -> bool:
    return any(unicodedata.category(each)[0] in "CZ" for each in text)


def _is_ipv4(parts: list[str]) -> bool:
    numbers = [_ipv4_number(part) for part in parts]
    *others, last = numbers
    return (
        len(numbers) <= 4
        and all(0 <= number <= 255 for number in others)
        and 0 <= last < 256 ** (5 - len(numbers))
    )


def _ipv4_number(text: str) -> int:
    """Read a decimal, octal or hexadecimal number; -1 if it is not one or is far too large."""
    digits, base = text, 10
    if _HEX_NUMBER(text):
        digits, base = text[2:], 16
    elif _OCTAL_NUMBER(text):
        base = 8
    elif not _DIGITS(text):
        return -1
    digits = digits.lstrip("0")
    if len(digits) > _MOST_DIGITS or (base == 10 and text.startswith("0")):
        return -1
    return int(digits or "0", base)
