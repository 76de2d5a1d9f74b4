"""Archives of strangers: files and folders inside their folder, up to a size; all else leaves nothing."""

import io
import os
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables.data import archives
from trainables.data.archives import unpack
from trainables.errors import DataError


def tar(path, *members, mode="w:gz"):
    """An archive of members (name, content, attributes)."""
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        for name, content, attributes in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.addfile(entry, io.BytesIO(content))
    return path


def zipped(path, *members):
    """An archive of members (name, content, mode)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return path


def refused(archive, message):
    """The archive is refused with this message, and leaves nothing."""
    below = archive.with_name(f"below-{archive.name}")
    with pytest.raises(DataError, match=message):
        unpack(archive, below, say=str)
    assert list(below.iterdir()) == []
    below.rmdir()


CONTENTS = st.dictionaries(st.from_regex(r"[a-c](/[a-c]){0,3}", fullmatch=True), st.binary(max_size=70_000), max_size=5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, kind=st.sampled_from(["a.zip", "a.tar.gz", "plain.tar.gz"]))
def test_files_are_unpacked_as_they_were_packed(contents, kind, tmp_path_factory):
    names = {name for name in contents if not any(other.startswith(f"{name}/") for other in contents)}
    folder = tmp_path_factory.mktemp("archive")
    if kind == "a.zip":
        archive = zipped(folder / kind, *((name, contents[name], 0o100644) for name in names))
    else:
        mode = "w" if kind.startswith("plain") else "w:gz"
        archive = tar(folder / kind, *((name, contents[name], {}) for name in names), mode=mode)
    unpacked = unpack(archive, folder / "below", say=str)
    read = {str(path.relative_to(unpacked)): path.read_bytes() for path in unpacked.rglob("*") if path.is_file()}
    assert read == {name: contents[name] for name in names}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from([".zip", ".tar.gz", "plain.tar.gz"]))
def test_a_damaged_archive_is_read_or_refused(data, suffix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    path = folder / f"archive{suffix}"
    if suffix == ".zip":
        zipped(path, ("a/", b"", 0o40755), ("a/b", b"abc" * 100, 0o100644))
    else:
        members = [
            ("a", b"", {"type": tarfile.DIRTYPE}),
            ("a/b", b"abc" * 100, {"pax_headers": {"comment": "x" * 300}}),
        ]
        tar(path, *members, mode="w" if suffix.startswith("plain") else "w:gz")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        unpack(path, folder / "below", say=str)
    except DataError:
        assert list((folder / "below").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("../a", {}, r"'\.\./a' points outside its folder"),
        ("a/../../a", {}, "points outside its folder"),
        ("/etc/a", {}, "'/etc/a' points outside its folder"),
        ("a/../b", {}, "points outside its folder"),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "'link' is a link, a device"),
        ("link", {"type": tarfile.LNKTYPE, "linkname": "a"}, "is a link, a device"),
        ("device", {"type": tarfile.CHRTYPE}, "is a link, a device"),
        ("disk", {"type": tarfile.BLKTYPE}, "is a link, a device"),
        ("pipe", {"type": tarfile.FIFOTYPE}, "is a link, a device"),
        ("sparse", {"pax_headers": {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)}}, "is a link, a device"),
        ("a/" * 17 + "a", {}, "more than 16 folders deep"),
        ("a\0b", {"pax_headers": {"path": "a\0b"}}, "points outside its folder"),
    ],
)
def test_a_tar_has_files_and_folders_inside_alone(tmp_path, name, attributes, message):
    refused(tar(tmp_path / "a.tar.gz", (name, b"", attributes)), message)


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("../a", 0o100644, r"'\.\./a' points outside its folder"),
        ("/etc/a", 0o100644, "'/etc/a' points outside its folder"),
        ("link", stat.S_IFLNK | 0o777, "'link' is a link, a device"),
        ("device", stat.S_IFCHR | 0o777, "'device' is a link, a device"),
        ("a/" * 17 + "a", 0o100644, "more than 16 folders deep"),
    ],
)
def test_a_zip_has_files_and_folders_inside_alone(tmp_path, name, mode, message):
    refused(zipped(tmp_path / "a.zip", (name, b"x", mode)), message)


def test_a_member_without_a_name_and_another_compression_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"x")
    refused(tmp_path / "a.zip", "'a' is .* compressed in another way")
    whole = zipped(tmp_path / "b.zip", ("/a", b"x", 0)).read_bytes()
    (tmp_path / "b.zip").write_bytes(whole.replace(b"/a", b"\0a"))
    refused(tmp_path / "b.zip", "points outside its folder")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_bomb_is_refused_after_the_limit(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(archives, "MOST_BYTES", 1_000_000)
    path, zeros = tmp_path / f"bomb{suffix}", bytes(1_000_001)
    refused(
        zipped(path, ("a", zeros, 0)) if suffix == ".zip" else tar(path, ("a", zeros, {})), "more than 1,000,000 bytes"
    )
    halves = ("a", "b/c", "d")
    if suffix == ".zip":
        zipped(path, *((name, zeros[:400_000], 0) for name in halves))
    else:
        tar(path, *((name, zeros[:400_000], {}) for name in halves))
    refused(path, "more than 1,000,000 bytes")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_members_are_counted(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    path = tmp_path / f"many{suffix}"
    if suffix == ".zip":
        zipped(path, *((f"d{number}/", b"", 0) for number in range(4)))
    else:
        tar(path, *((f"d{number}", b"", {"type": tarfile.DIRTYPE}) for number in range(4)))
    refused(path, "more than 3 members")


def test_the_list_of_a_zip_takes_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_DIRECTORY", 100_000)
    refused(zipped(tmp_path / "a.zip", *((f"{number:010}", b"", 0) for number in range(2000))), "a header says")


def test_a_header_of_a_tar_takes_bounded_memory(tmp_path):
    """A name of 50 MB, and a size below zero, for which Python 3.11 reads forever."""
    refused(tar(tmp_path / "a.tar.gz", ("a" * 50_000_000, b"", {})), "a header says that 50,0")
    entry = tarfile.TarInfo("a")
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "b.tar.gz").write_bytes(bytes(header) + bytes(1024))
    refused(tmp_path / "b.tar.gz", "negative size")


def test_modes_are_those_of_new_files(tmp_path):
    archive = tar(
        tmp_path / "a.tar.gz", ("d", b"", {"type": tarfile.DIRTYPE, "mode": 0}), ("d/a", b"x", {"mode": 0o6777})
    )
    umask = os.umask(0o022)
    try:
        folder = unpack(archive, tmp_path / "below", say=str)
    finally:
        os.umask(umask)
    assert [stat.S_IMODE((folder / name).stat().st_mode) for name in ("d", "d/a")] == [0o755, 0o644]


def test_a_truncated_zip_and_one_that_lies_about_a_size_are_damaged(tmp_path):
    whole = zipped(tmp_path / "a.zip", ("a", bytes(1000), 0)).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole.replace(struct.pack("<I", 1000), struct.pack("<I", 10)))
    refused(tmp_path / "a.zip", r"a\.zip is truncated or damaged .*download it again")
