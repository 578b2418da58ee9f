"""What services are told by the zips that the sample packs are made from, damaged in the same ways.

The reader is what services have: `zipfile`, `json`, and dictionaries from URL, path and debug id to members.
It is judged mildly: any exception counts as a refusal, and where bytes of another bundle were put in, all
answers may also be those of the other one.
"""

import io
import json
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cache

from support.damage import HARMLESS, MISSED, MIXED, REFUSED, WRONG, Damage, Pieces, damages, flipped
from support.damaged_packs import LARGE, LARGE_STEP, Verdict
from support.sample_packs import bundle_of, large_bundle, other_bundle

__all__ = ["answers_of", "judge_zip", "tally_zip", "zip_damages"]

_END_SIZE, _CENTRAL_SIZE, _LOCAL_SIZE = 22, 46, 30
_REFUSAL = object()
_FROM_GOOD_TO_BAD = (HARMLESS, REFUSED, MISSED, WRONG)


def answers_of(data: bytes) -> dict[str, object]:
    """Return all that a service's reader answers of a zip; `_REFUSAL` in place of what it cannot read."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        manifest = json.loads(file.read("manifest.json"))
        files = manifest.pop("files")
        answers: dict[str, object] = {"attributes": manifest, "names": sorted(file.namelist())}
        for name, info in sorted(files.items()):
            answers[f"fields of {name!r}"] = info
            answers |= {f"find {key} {info[key]!r}": name for key in ("path", "url") if info.get(key)}
            for header, value in info.get("headers", {}).items():
                if header.lower() == "debug-id":
                    answers[f"find {value.lower()} {info['type']}"] = name
        for name in sorted({*files, *file.namelist()}):
            try:
                answers[f"read {name!r}"] = file.read(name)
            except Exception:  # noqa: BLE001  whatever it is, a service refuses
                answers[f"read {name!r}"] = _REFUSAL
    return answers


_right_answers = cache(answers_of)


def judge_zip(damage: Damage, *wholes: bytes) -> Verdict:
    """Hold the answers of a damaged zip against those of whole ones, and return the best verdict."""
    try:
        answers = answers_of(damage.data)
    except Exception:  # noqa: BLE001  the same
        return Verdict(REFUSED)
    verdicts = [_compared(answers, _right_answers(whole)) for whole in wholes]
    return min(verdicts, key=lambda verdict: _FROM_GOOD_TO_BAD.index(verdict.outcome))


def _compared(answers: dict[str, object], right: dict[str, object]) -> Verdict:
    outcome, wrong, only_missed = HARMLESS, [], True
    for question, expected in right.items():
        answer = answers.get(question, _REFUSAL if question.startswith("read ") else None)
        if answer is _REFUSAL and expected is not _REFUSAL:
            outcome = REFUSED
        elif answer != expected:
            fewer = isinstance(answer, list) and isinstance(expected, list) and set(answer) < set(expected)
            only_missed = only_missed and (answer is None or fewer)
            wrong.append(f"{question}: {answer!r:.300}, not {expected!r:.300}")
    if wrong:
        outcome = MISSED if only_missed else WRONG
    return Verdict(outcome, tuple(wrong))


def _pieces_of(data: bytes) -> Pieces:
    """Return where in a zip the things lie that can change places."""
    count, size, offset = struct.unpack_from("<HLL", data, len(data) - _END_SIZE + 10)
    members, contents, records = [], [], []
    at = offset
    for _ in range(count):
        (packed,) = struct.unpack_from("<L", data, at + 20)
        lengths = struct.unpack_from("<3H", data, at + 28)
        (start,) = struct.unpack_from("<L", data, at + 42)
        content = start + _LOCAL_SIZE + lengths[0]
        members.append(range(start, content + packed))
        contents.append(range(content, content + packed))
        records.append(range(at, at + _CENTRAL_SIZE + sum(lengths)))
        at = records[-1].stop
    sections = [range(offset), range(offset, offset + size)]
    return {"section": sections, "member": members, "content": contents, "record": records}


def zip_damages(name: str, kind: str, step: int = 1) -> Iterator[Damage]:
    """Yield each damage of a kind to the zip of a sample pack."""
    if kind == LARGE:
        return flipped(large_bundle(), LARGE_STEP * step)
    movable = ("section", "member", "content", "record")
    return damages(kind, bundle_of(name), (other_bundle(name),), _pieces_of, movable=movable, step=step)


def tally_zip(name: str, kind: str, *, step: int = 1) -> tuple[Counter[str], list[str]]:
    """Damage the zip of a sample pack in every way of a kind; as `damaged_packs.tally`."""
    counts: Counter[str] = Counter()
    wrong = []
    for damage in zip_damages(name, kind, step):
        others = (bundle_of(name), other_bundle(name)) if kind in MIXED else ()
        verdict = judge_zip(damage, damage.whole, *others)
        counts[verdict.outcome] += 1
        wrong += [f"{name}: {damage.what}: {answer}" for answer in verdict.wrong]
    return counts, wrong
