"""Which files travel with a script, and how they arrive."""

import io
import os
import time
import zipfile

import pytest

from layersweep import project
from layersweep.tuning.common import script_files
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.common.script_files import ScriptFiles, is_everywhere, running_script
from layersweep.tuning.doctor import node_facts


@pytest.fixture
def script(tmp_path):
    """A script with modules, packages, and much that is not its own beside it."""
    folder = tmp_path / "experiments"
    texts = {
        "mine.py": "import net\ndef build():\n    import parts.deep.block\n",
        "net.py": "from indirect import x",
        "parts/deep/block.py": "",
        "indirect/other.py": "",
        "package/__init__.py": "",
        "package/inner/module.py": "",
        "package/inner/__pycache__/module.py": "",
        "package/notes.txt": "",
        "package/environment/pyvenv.cfg": "",
        "package/environment/lib/there.py": "",
        "unrelated/thing.py": "",
        ".hidden/thing.py": "",
        "results/epochs.parquet": "",
        "notes.md": "",
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / "mine.py"


def test_the_script_the_modules_beside_it_and_its_packages_travel(script):
    assert sorted(ScriptFiles.of(script).contents) == [
        "indirect/other.py", "mine.py", "net.py", "package/__init__.py", "package/inner/module.py",
        "parts/deep/block.py",
    ]  # fmt: skip


def test_a_folder_without_init_travels_if_it_is_imported_also_alone(tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "pair.py").write_text("")
    (tmp_path / "mine.py").write_text("from blocks import pair")
    assert sorted(ScriptFiles.of(tmp_path / "mine.py").contents) == ["blocks/pair.py", "mine.py"]


def test_a_file_that_is_no_python_of_this_version_travels_too(script):
    (script.parent / "template.py").write_text("def {{ name }}(")
    assert "template.py" in ScriptFiles.of(script).contents


def test_they_arrive_as_they_were(script, tmp_path):
    files = ScriptFiles.of(script)
    arrived = ScriptFiles.of_archive(files.archive(), files.name)
    assert (arrived, arrived.name) == (files, files.name)
    folder = arrived.written(tmp_path / "there")
    assert folder.name == files.name
    assert folder.name.startswith("mine-")
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.py")} == set(files.contents)
    assert (folder / "net.py").read_text() == "from indirect import x"


def test_an_edited_module_is_another_folder_and_the_same_content_is_the_same(script):
    name = ScriptFiles.of(script).name
    assert ScriptFiles.of(script).name == name
    (script.parent / "parts" / "deep" / "block.py").write_text("x = 1")
    assert ScriptFiles.of(script).name != name


def test_a_folder_that_was_changed_there_is_made_again(script, tmp_path):
    files = ScriptFiles.of(script)
    folder = files.written(tmp_path)
    (folder / "net.py").write_text("x = 'changed by hand'")
    assert files.written(tmp_path) == folder
    assert (folder / "net.py").read_text() == "from indirect import x"


def test_folders_that_nobody_has_used_for_a_month_are_deleted(script, tmp_path):
    old = ScriptFiles.of(script).written(tmp_path / "there")
    os.utime(old, (0, time.time() - 31 * 24 * 3600))
    (script.parent / "net.py").write_text("x = 1")
    new = ScriptFiles.of(script).written(tmp_path / "there")
    assert new.is_dir()
    assert not old.exists()


@pytest.mark.parametrize(("limit", "value"), [("MOST_FILES", 3), ("MOST_BYTES", 50)])
def test_too_much_is_refused_with_the_names_of_what_is_large(script, monkeypatch, limit, value):
    (script.parent / "large.py").write_text("x = 0" * 100)
    (script.parent / "package" / "more.py").write_text("x = 0")
    monkeypatch.setattr(script_files, limit, value)
    with pytest.raises(
        UsageError, match=r"too many to travel to a cluster: .*the largest are large\.py.*folder of its own"
    ):
        ScriptFiles.of(script)


def test_a_file_that_cannot_be_read_is_named(script):
    (script.parent / "gone.py").symlink_to(script.parent / "nowhere.py")  # a broken link is no file: it is passed over
    ScriptFiles.of(script)
    os.mkfifo(script.parent / "pipe.py")
    assert "pipe.py" not in ScriptFiles.of(script).contents
    with pytest.raises(UsageError, match=r"notes\.md cannot travel to a cluster; valid: a Python script"):
        ScriptFiles.of(script.parent / "notes.md")


def test_a_name_that_is_no_unicode_is_refused(script):
    (script.parent / os.fsdecode(b"caf\xe9.py")).write_text("")
    with pytest.raises(UsageError, match="its name is not UTF-8"):
        ScriptFiles.of(script)


NAME = ScriptFiles(script="mine.py", contents={"mine.py": b"x = 1"}).name


def archive(*names, comment=b"mine.py"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.comment = comment
        for name in names:
            made.writestr(name, "x = 1")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK", archive("mine.py")[:-30], archive("mine.py", "../other.py"), archive("mine.py", "/root/x.py"),
        archive("mine.py", "authorized_keys"), archive("other.py"), archive("a/mine.py", comment=b"a/mine.py"),
    ],
    ids=["nothing", "a beginning", "cut", "above", "absolute", "no Python", "no script", "a script in a folder"],
)  # fmt: skip
def test_an_archive_of_something_else_is_refused(content):
    with pytest.raises(ValueError, match="the archive of a script"):
        ScriptFiles.of_archive(content, NAME)


def test_a_changed_byte_is_an_error_of_the_archive_or_changes_nothing():
    files = ScriptFiles(script="mine.py", contents={"mine.py": b"import net\n" * 20, "net.py": b"x = 1\n" * 20})
    whole = files.archive()
    for place in range(len(whole)):
        for value in (0, 255, whole[place] ^ 1):
            changed = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                arrived = ScriptFiles.of_archive(changed, files.name)
            except ValueError:
                continue
            assert arrived.contents == files.contents


def test_an_archive_of_another_content_is_refused():
    assert ScriptFiles.of_archive(archive("mine.py"), NAME).script == "mine.py"
    with pytest.raises(ValueError, match=r"it holds mine-.* instead of mine-"):
        ScriptFiles.of_archive(archive("mine.py", "net.py"), NAME)


def test_an_archive_that_would_fill_the_disk_is_refused(monkeypatch):
    monkeypatch.setattr(script_files, "MOST_BYTES", 4)
    with pytest.raises(ValueError, match="too large"):
        ScriptFiles.of_archive(archive("mine.py"), NAME)


def test_the_scripts_that_ray_up_copies_are_everywhere():
    assert is_everywhere(project.FOLDER / "sweeps" / "optimizers.py")
    assert not is_everywhere(project.FOLDER / "experiments" / "mine.py")
    assert not is_everywhere(project.FOLDER / ".scripts" / "mine-0" / "mine.py")
    assert set(node_facts.CODE) == set(project.CODE_FOLDERS)


def test_a_running_script_travels_unless_it_is_everywhere_or_installed(script, monkeypatch):
    def running(file):
        monkeypatch.setattr("sys.modules", {"__main__": type("Main", (), {"__file__": file})})
        return running_script()

    assert running(str(script)).folder == script.parent
    assert running(str(script)).files == ScriptFiles.of(script)
    assert running(None) is None
    assert running(str(project.FOLDER / "sweeps" / "optimizers.py")) is None
    assert running(pytest.__file__) is None
