"""The command `convert`: its options, and whether they mean one bundle or many."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated

import typer

from srcpack.bundle.members import DEFAULT_LIMITS, Limits
from srcpack.source.locations import is_url, path_or_url
from srcpack_convert.cli.arguments import (
    JsonOption,
    MaxFiles,
    MaxFileSize,
    MaxManifestSize,
    MaxTotalRatio,
    MaxTotalSize,
    count_option,
    file_option,
    parse_dictionary,
    parse_list,
    size_option,
)
from srcpack_convert.cli.batch_display import Shown
from srcpack_convert.cli.convert_batch import BatchOutput, check_written, cluster, run_batch
from srcpack_convert.cli.convert_one import convert_one
from srcpack_convert.cli.opening import listed_names
from srcpack_convert.cli.prune import Prune, check_prune
from srcpack_convert.cli.terminal import Failure
from srcpack_convert.inputs.bundles import Inputs
from srcpack_convert.inputs.names import check_name, is_folder_url
from srcpack_convert.inputs.patterns import is_pattern
from srcpack_convert.many.capacity import cores
from srcpack_convert.many.state import STATE_NAME
from srcpack_convert.one.options import Options
from srcpack_convert.one.presets import DEFAULT_PRESET, PRESETS


def convert(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="SourceBundles, by path or URL, - is stdin; folders, searched with all below; "
            "patterns in quotes.",
        ),
    ] = None,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PACK|FOLDER",
            help="The pack; without it, beside the zip; - is stdout. For many, a folder.",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(PRESETS)}: from fast (uploads that somebody waits for) to small (archives); "
            "raw does not compress.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = DEFAULT_PRESET,
    level: Annotated[int | None, count_option("Level of zstd, in place of the preset's.")] = None,
    dictionary: Annotated[
        str,
        typer.Option(
            metavar="auto|off|BYTES|FILE",
            help="Train one where it pays; use none; train one of at most so many bytes; use this one.",
        ),
    ] = "auto",
    frame_size: Annotated[
        int | None, size_option("Bytes of content in a frame, in place of the preset's.")
    ] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Store members with such names as they are. May be repeated."),
    ] = None,
    lookups: Annotated[
        bool,
        typer.Option(
            "--lookups",
            help="Store what each source map answers, so that positions are looked up without the map; "
            "needs symbolic.",
        ),
    ] = False,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Take also bundles that symbolic refuses over metadata alone, without what it refuses.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        count_option(
            "Bundles converted at once, or threads for the only one; by default one for each core.",
            "--jobs",
            "-j",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read every file back and compare it with the zip.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what exists, also packs that are up to date.")
    ] = False,
    progress: Annotated[
        bool, typer.Option("--progress/--no-progress", help="Show on stderr how far it is.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only what is wrong: no progress, no summary.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print a line on each bundle.")] = False,
    files_from: Annotated[
        str | None, typer.Option(metavar="FILE|-", parser=parse_list, help="Read more inputs, one a line.")
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Paths in --files-from and --errors-to end with NUL.")
    ] = False,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Take only such files from folders.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Leave out such files and folders.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Put packs by their inputs' paths relative to it.")
    ] = None,
    flat: Annotated[bool, typer.Option("--flat", help="Put all packs into the one folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, a line each.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Then remove packs that earlier runs made of zips in the same folders that are gone; asks.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --prune removes.")] = False,
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum",
            help="Read each zip to find whether its pack is up to date, whatever size and time say.",
        ),
    ] = False,
    state: Annotated[
        str | None, file_option(f"Where zips' digests are remembered; by default {STATE_NAME} in the folder.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End with the first that fails.")] = False,
    max_failures: Annotated[
        int | None,
        count_option(
            "End after so many that fail; by default after some in a row that fail for a reason that is "
            "not theirs, as a full disk."
        ),
    ] = None,
    errors_to: Annotated[
        str | None,
        file_option("Write the paths of inputs that failed, as --files-from reads them; over what is there."),
    ] = None,
    report: Annotated[
        str | None, file_option("Write a line of JSON on each input; over what is there.")
    ] = None,
    max_memory: Annotated[
        int | None,
        size_option(
            "Memory that what is converted at once may take, estimated by the zips' sizes; "
            "by default three quarters of the machine's."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Convert on the workers of this Dask scheduler, tcp://host:8786 say."
        ),
    ] = None,
    max_file_size: MaxFileSize = DEFAULT_LIMITS.max_file_size,
    max_total_size: MaxTotalSize = DEFAULT_LIMITS.max_total_size,
    max_manifest_size: MaxManifestSize = DEFAULT_LIMITS.max_manifest_size,
    max_total_ratio: MaxTotalRatio = DEFAULT_LIMITS.max_total_ratio,
    max_files: MaxFiles = DEFAULT_LIMITS.max_files,
    as_json: JsonOption = False,
) -> int:
    """Convert SourceBundle zips into packs: one into a pack, many into a folder.

    Members that cannot be read are recorded as damaged, and the exit code is 3; so it is where some of many
    inputs failed. Of many, those whose pack is up to date are skipped: a batch that was interrupted goes
    on when it is run again.

    Examples:
      srcpack convert app.zip
      srcpack convert app.zip -o packs/app.srcpack --preset max
      srcpack convert app.zip --raw '*.map' --jobs 2 --json
      srcpack convert app.zip --lookups
      curl https://host/app.zip | srcpack convert - -o app.srcpack
      srcpack convert bundles -o packs --exclude 'old/*' --report report.jsonl
      srcpack convert 'bundles/**/*.zip' -o packs --flat --dry-run
      srcpack convert bundles -o packs --prune --dry-run
      find . -name '*.zip' -print0 | srcpack convert --files-from - -0 -o packs
    """
    sources = sources or []
    if not sources and files_from is None:
        raise typer.BadParameter("give at least one INPUT, or --files-from")
    for place in (*sources, output, base):
        if place is None:
            continue
        check_name(place)
        path_or_url(place)  # a mistake is told before anything is done
    chosen = parse_dictionary(dictionary)
    # What is wrong with an option is told before what is wrong with a file.
    try:
        options = Options(
            preset=preset,
            level=level,
            dictionary=chosen,
            frame_size=frame_size,
            raw=raw or (),
            lookups=lookups,
            lenient=lenient,
            verify=verify,
            limits=Limits(
                max_file_size=max_file_size,
                max_total_size=max_total_size,
                max_manifest_size=max_manifest_size,
                max_total_ratio=max_total_ratio,
                max_files=max_files,
            ),
        )
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from error
    for_many = {
        "--files-from": files_from, "--null": null, "--include": include, "--exclude": exclude,
        "--base": base, "--flat": flat, "--dry-run": dry_run, "--checksum": checksum, "--state": state,
        "--fail-fast": fail_fast, "--max-failures": max_failures, "--errors-to": errors_to,
        "--report": report, "--prune": prune, "--max-memory": max_memory, "--scheduler": scheduler,
        "--verbose": verbose, "--yes": yes,
    }  # fmt: skip
    if not _are_many(sources, output, files_from):
        if given := [name for name, value in for_many.items() if value]:
            raise typer.BadParameter(
                f"{', '.join(given)}: for many bundles; give a folder as --output (one to be made ends in /)"
            )
        return convert_one(
            sources[0],
            output,
            force=force,
            as_json=as_json,
            is_watched=progress and not quiet,
            is_quiet=quiet,
            options=options,
            jobs=jobs or cores(),
        )
    if output is None:
        raise typer.BadParameter("many bundles need --output, a folder for their packs")
    if output.endswith(".srcpack") and not os.path.isdir(output):
        raise typer.BadParameter(f"{output}: many bundles need a folder; one of that name ends in /")
    if quiet and verbose:
        raise typer.BadParameter("give --quiet or --verbose, not both")
    if fail_fast and max_failures is not None:
        raise typer.BadParameter("give --fail-fast or --max-failures, not both")
    if "-" in sources or base == "-" or output == "-":
        raise typer.BadParameter(
            "- is for one bundle: --files-from - reads names from stdin, and ./- is a file of that name"
        )
    if not is_url(output) and os.path.lexists(output) and not os.path.isdir(output):
        raise Failure(f"{output}: it exists and is no folder")
    if yes and not prune:
        raise typer.BadParameter("--yes is only for --prune")
    if prune:
        check_prune(sources, output, files_from, asks=not (yes or dry_run))
    written_to = [os.path.realpath(each) for each in (report, errors_to, state) if each is not None]
    if len(set(written_to)) < len(written_to):
        raise typer.BadParameter("--report, --errors-to and --state are different files")
    for written in filter(None, (report, errors_to)):
        check_written(written, sources, files_from)
    with ExitStack() as stack:
        return run_batch(
            Inputs(
                sources,
                listed=stack.enter_context(listed_names(files_from)),
                zero=null,
                include=include or (),
                exclude=exclude or (),
                base=base,
            ),
            output,
            options,
            BatchOutput(
                as_json=as_json,
                is_quiet=quiet,
                shown=Shown(progress=progress and not quiet, each=verbose, report=report),
                errors_to=errors_to,
                end=b"\0" if null else b"\n",
            ),
            prune=Prune(
                names=sources, output=output, state=state, is_agreed=yes, dry_run=dry_run, as_json=as_json
            )
            if prune
            else None,
            executor=None if scheduler is None else stack.enter_context(cluster(scheduler)),
            jobs=jobs,
            flat=flat,
            force=force,
            checksum=checksum,
            state=state,
            dry_run=dry_run,
            max_failures=1 if fail_fast else max_failures,
            max_memory=max_memory,
            look_ahead=files_from != "-",
        )


def _are_many(sources: Sequence[str], output: str | None, files_from: str | None) -> bool:
    """Return whether this is a batch: what is to be found, or more than one, or a folder to put it into."""
    if files_from is not None or len(sources) != 1:
        return True
    if sources[0] == "-":
        return False
    if os.path.isdir(path_or_url(sources[0])):
        return True
    if (
        is_folder_url(sources[0])
        if is_url(sources[0])
        else (is_pattern(sources[0]) and not os.path.lexists(sources[0]))
    ):
        return True
    return output not in (None, "-") and (output.endswith("/") or os.path.isdir(path_or_url(output)))
