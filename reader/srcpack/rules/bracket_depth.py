"""How deep the brackets of a script are nested: what its parser may need of its stack.

PyPI symbolic 13.9 parses a script by calling itself, up to 3.5 KB of stack for each bracket (measured with 12
kinds of nesting), and has no limit: where the stack ends, the process does.
"""

from itertools import accumulate

__all__ = ["bracket_depth"]

_STEPS = bytes(1 if each in b"([{" else 0xFF if each in b")]}" else 0 for each in range(256))
_NO_BRACKETS = bytes(each for each in range(256) if each not in b"([{}])")


def bracket_depth(script: bytes) -> int:
    """Return how deep brackets are nested.

    Those in strings, comments and regular expressions count as well. So this is no proof: it tells what was
    generated without a thought, or made to end the process without any art.
    """
    steps = memoryview(script.translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps, initial=0)) - min(accumulate(steps, initial=0))
