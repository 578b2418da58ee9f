"""`convert --prune`: what is removed is shown, asked for, and told."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import typer

from srcpack.source.locations import is_url, path_or_url
from srcpack_convert.cli.batch_display import short
from srcpack_convert.cli.terminal import complain, counted, print_json, print_line, say, shown, some
from srcpack_convert.inputs.names import absolute, working_folder
from srcpack_convert.many.prune import StalePack, find_stale, remove_stale, roots_of
from srcpack_convert.many.reports import BatchReport
from srcpack_convert.many.state import State, default_state

__all__ = ["Prune", "check_prune"]


def check_prune(names: Sequence[str], output: str, files_from: str | None, *, asks: bool) -> None:
    """Refuse to remove packs where it is not clear which, or where nobody can be asked."""
    if is_url(path_or_url(output)):
        raise typer.BadParameter("--prune removes files of a folder; packs at URLs stay")
    if not roots_of(names):
        raise typer.BadParameter("--prune needs a folder or a pattern as INPUT, whose zips may be gone")
    if asks and (files_from == "-" or sys.stdin is None or not sys.stdin.isatty()):
        raise typer.BadParameter("--prune asks before it removes, and there is no terminal: give --yes")


@dataclass(kw_only=True)
class Prune:
    """The end of a batch of these names that removes packs whose zip is gone.

    `state` is the state file, None for the one in the folder; `is_agreed` removes without asking, `dry_run`
    only says what would be removed.
    """

    names: Sequence[str]
    output: str
    state: str | None
    is_agreed: bool
    dry_run: bool
    as_json: bool
    failed: int = 0
    _claimed: set[str] = field(default_factory=set)

    def see(self, report: BatchReport) -> None:
        """Leave alone what an input is to be converted into that is not remembered as its source yet."""
        if report.output is not None and (self.dry_run or report.status == "failed"):
            self._claimed.add(report.output)

    def run(self) -> int:
        """Remove the packs, and return how many were, or would be."""
        here = working_folder()
        folder = absolute(path_or_url(self.output), here)
        path = default_state(folder) if self.state is None else absolute(path_or_url(self.state), here)
        with State(path, is_read_only=self.dry_run) as state:
            found = find_stale(state, folder, roots_of(self.names), claimed=self._claimed)
            for root in found.empty_roots:
                complain(f"{short(root)}: none of the zips known from it is there; its packs are not removed")
            if self.dry_run:
                for pack in found.packs:
                    self._print_plan(pack)
                return len(found.packs)
            if not found.packs or not (self.is_agreed or _agreed(found.packs)):
                return 0
            return sum(self._removed(pack, folder, state) for pack in found.packs)

    def _removed(self, pack: StalePack, folder: str, state: State) -> bool:
        try:
            return remove_stale(pack, folder, state)
        except OSError as error:
            complain(error)
            self.failed += 1
            return False

    def _print_plan(self, pack: StalePack) -> None:
        if self.as_json:
            print_json({"status": "stale", "source": pack.known.source, "output": pack.output})
        else:
            print_line(shown(f"remove {_text(pack)}"))


def _agreed(packs: Sequence[StalePack]) -> bool:
    some([_text(pack) for pack in packs], say)
    return typer.confirm(f"Remove {counted(len(packs), 'pack', 'packs')}?", err=True)


def _text(pack: StalePack) -> str:
    return f"{short(pack.output)}: {short(os.fspath(pack.known.source))} is gone"
