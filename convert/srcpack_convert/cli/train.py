"""The command `train`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from srcpack.format.head_tail import MAX_DICTIONARY
from srcpack_convert.atomic_write import written_aside
from srcpack_convert.cli.arguments import (
    FilesFromOption,
    ForceOption,
    JsonOption,
    NullOption,
    PacksOrZipsArgument,
    check_output,
    output_option,
    size_option,
)
from srcpack_convert.cli.opening import name_of, named_packs, open_one
from srcpack_convert.cli.terminal import (
    PARTLY,
    Failure,
    Failures,
    about,
    counted,
    print_json,
    print_line,
    shown,
    size_text,
    status,
)
from srcpack_convert.one.dictionary import SMALLEST_DICTIONARY
from srcpack_convert.one.fleet_dictionary import FLEET_DICTIONARY, FleetSamples
from srcpack_convert.storage import is_one_file


def train(
    bundles: PacksOrZipsArgument = None,
    *,
    output: Annotated[Path, output_option("FILE", "The dictionary.")],
    size: Annotated[int, size_option("Most bytes that it may have; 16K by default.")] = FLEET_DICTIONARY,
    force: ForceOption = False,
    files_from: FilesFromOption = None,
    null: NullOption = False,
    as_json: JsonOption = False,
) -> int:
    """Train one dictionary on many bundles, for `convert --dictionary FILE`.

    A process that reads many packs loads it once, and a pack's own for each pack. Every pack holds it, so
    bundles should be much alike. Same bundles, in any order: same dictionary. Exit code 3 if some
    could not be read.

    Examples:
      srcpack train bundles/ -o fleet.dictionary
      srcpack train 'bundles/**/*.zip' -o fleet.dictionary --size 64K --force
      srcpack train --files-from sample.txt -o fleet.dictionary --json
    """
    if not SMALLEST_DICTIONARY <= size <= MAX_DICTIONARY:
        raise typer.BadParameter(f"--size is {SMALLEST_DICTIONARY:,} to {MAX_DICTIONARY:,}, not {size:,}")
    check_output(output, force=force)
    samples, failures = FleetSamples(size), Failures()
    taken = 0
    with named_packs(bundles, files_from, null=null, with_zips=True) as found, status() as tell:
        for each in found:
            name = name_of(each.place)
            if is_one_file(each.place, os.fspath(output)):
                raise Failure(f"{output}: it is an input; write to another file")
            tell(f"{counted(taken, 'bundle', 'bundles')}: {name}")
            with failures.told(name), open_one(each.checked()) as bundle:
                samples.add(bundle)
                taken += 1
    if not taken:
        raise Failure("no bundle could be read")
    dictionary = samples.train()
    if dictionary is None:
        raise Failure("there is too little in the bundles to train a dictionary on")
    with about(output), written_aside(output) as (out, _):
        out.write(dictionary)
    if as_json:
        size, failed = len(dictionary), failures.count
        print_json({"output": str(output), "size": size, "bundles": taken, "failed": failed})
    else:
        of = counted(taken, "bundle", "bundles")
        print_line(shown(f"{output}: a dictionary of {size_text(len(dictionary))}, of {of}"))
    return PARTLY if failures.count else 0
