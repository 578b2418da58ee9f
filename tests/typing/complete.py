"""Checks that all that the packages export has a known type: `python tests/typing/complete.py`.

What pyright calls unknown, or could infer in another way than other checkers, fails; the types of other
distributions are theirs. fsspec has no types, so that the base class of our file system stays open.
"""

import json
import os
import subprocess
import sys

_PACKAGES = ("srcpack", "srcpack_convert")
_OPEN = "srcpack.integrations.fsspec.SrcpackFileSystem"


def incomplete(package: str) -> list[str]:
    """Return what is missing in a package that is installed."""
    pyright = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    command = [*pyright, "--ignoreexternal", "--verifytypes", package, "--outputjson"]
    # pyright does not look for packages where an installation in place says that they are.
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(command, env=paths, capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout)["typeCompleteness"]
    if not found["exportedSymbolCounts"]["withKnownType"]:
        return [f"{package}: {ran.stdout}"]
    return [
        f"{symbol['name']}: {problem['message']}"
        for symbol in found["symbols"]
        for problem in symbol["diagnostics"]
        if not symbol["isTypeKnown"] and symbol["name"] != _OPEN
    ]


if __name__ == "__main__":
    missing = [each for package in _PACKAGES for each in incomplete(package)]
    print("\n".join(missing) or "complete")
    sys.exit(bool(missing))
