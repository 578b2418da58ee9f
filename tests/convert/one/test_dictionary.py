"""The dictionary of a pack: where it pays, which of several, and one that is given."""

import hashlib
from pathlib import Path

import pytest
import zstandard

import srcpack
from srcpack.bundle.members import SourceBundle
from srcpack.opening import packfile_of
from srcpack_convert import convert
from srcpack_convert.one.dictionary import choose_dictionary
from support.bundle_builder import ZipMember, build_bundle, build_zip, words
from support.places import BUNDLES


def test_a_dictionary_is_used_where_it_pays(tmp_path: Path) -> None:
    auto = convert(BUNDLES / "many.zip", tmp_path / "auto.srcpack")
    off = convert(BUNDLES / "many.zip", tmp_path / "off.srcpack", dictionary="off")
    assert auto.dictionary_size > 0
    assert off.dictionary_size == 0
    assert auto.output_size < 0.8 * off.output_size
    limited = convert(BUNDLES / "many.zip", tmp_path / "limited.srcpack", dictionary=5000)
    assert 0 < limited.dictionary_size <= 5000


def test_no_dictionary_where_it_does_not_pay(tmp_path: Path) -> None:
    files = {f"files/{number}": hashlib.shake_256(bytes([number])).digest(5000) for number in range(40)}
    assert convert(build_bundle(files, {}), tmp_path / "a.srcpack").dictionary_size == 0


def test_of_several_dictionaries_the_one_that_makes_the_pack_smallest_is_chosen(tmp_path: Path) -> None:
    files = {f"files/{number:03}": words(number, 1500) for number in range(200)}
    members = [ZipMember(name=name, content=content) for name, content in files.items()]
    members.append(ZipMember(name="damaged", content=words(1, 1500), method=12))  # which is no sample
    data = build_zip([*members, ZipMember(name="manifest.json", content=b"{}")])
    with SourceBundle(data) as bundle:

        def chosen(*sizes: int) -> bytes:
            dictionary = choose_dictionary(bundle, ["damaged", *files], sizes, level=3, frame_size=1 << 16)
            assert dictionary is not None
            return dictionary.as_bytes()

        small, large = chosen(4 << 10), chosen(40 << 10)
        both = chosen(4 << 10, 40 << 10)
    assert len(small) < len(large)

    def size_with(dictionary: bytes) -> int:
        return convert(data, tmp_path / "a.srcpack", level=3, dictionary=dictionary, force=True).output_size

    assert both == min(small, large, key=size_with)


def test_a_dictionary_that_is_given_is_shared_by_packs(tmp_path: Path) -> None:
    convert(BUNDLES / "many.zip", tmp_path / "first.srcpack")
    dictionary = packfile_of(srcpack.open(tmp_path / "first.srcpack")).dictionary()
    data = dictionary.data.as_bytes()
    for name in ("app", "texts"):
        report = convert(BUNDLES / f"{name}.zip", tmp_path / f"{name}.srcpack", dictionary=data)
        pack = srcpack.open(tmp_path / f"{name}.srcpack")
        assert report.dictionary_size == len(data)
        assert packfile_of(pack).tail.dictionary_sha256 == hashlib.sha256(data).digest()
        assert pack.bundle.created_by["options"]["dictionary"] == hashlib.sha256(data).digest()
        assert srcpack.verify(pack) == []


def test_a_dictionary_without_an_id_is_misuse(tmp_path: Path) -> None:
    trained = zstandard.train_dictionary(600, [words(number, 300) for number in range(60)])
    dictionary = bytearray(trained.as_bytes())
    dictionary[4:8] = bytes(4)
    with pytest.raises(ValueError, match="a dictionary must have an id that is not 0"):
        convert(BUNDLES / "app.zip", tmp_path / "a.srcpack", dictionary=bytes(dictionary))
