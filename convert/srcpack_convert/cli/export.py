"""The command `export`."""

from pathlib import Path
from typing import Annotated

import typer

from srcpack_convert.back.export import export as export_pack
from srcpack_convert.cli.arguments import (
    ForceOption,
    JsonOption,
    PackArgument,
    check_output,
    parse_output_or_stdout,
)
from srcpack_convert.cli.opening import open_whole
from srcpack_convert.cli.terminal import (
    PARTLY,
    about,
    bytes_to_stdout,
    files_text,
    print_json,
    print_line,
    say,
    shown,
    size_text,
    warn,
)


def export(
    pack: PackArgument,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="ZIP|-",
            parser=parse_output_or_stdout,
            help="The SourceBundle; - is stdout.",
        ),
    ],
    stored: Annotated[
        bool, typer.Option("--stored", help="Store the members, in place of deflating them.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Turn a pack back into a SourceBundle zip with the same manifest and contents.

    Members that were damaged when the bundle was converted are left out, and the exit code is 3.

    Examples:
      srcpack export app.srcpack -o app.zip
      srcpack export app.srcpack -o app.zip --stored --force
      srcpack export app.srcpack -o - | ssh host 'cat > app.zip'
    """
    to_stdout = output == "-"
    if not to_stdout:
        check_output(Path(output), force=force)
    elif as_json:
        raise typer.BadParameter("--json: stdout gets the zip")
    out = bytes_to_stdout("a zip") if to_stdout else output
    with about(output), open_whole(pack) as opened:
        report = export_pack(opened, out, stored=stored, force=force)
    if as_json:
        print_json(report.as_json())
    else:
        tell = say if to_stdout else print_line
        tell(
            shown(
                f"{report.output}: {files_text(report.files)} of {size_text(report.total_size)}; "
                f"pack {size_text(report.source_size)}, zip {size_text(report.output_size)}; "
                f"{report.seconds:.1f} s"
            )
        )
    warn(f"{report.source}: {each.member!r} is left out: {each.reason}" for each in report.left_out)
    return PARTLY if report.left_out else 0
