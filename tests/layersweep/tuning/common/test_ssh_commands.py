"""What a head prints, shown here."""

from pathlib import Path

import pytest

from layersweep.tuning.common import ssh_commands
from layersweep.tuning.common.cluster_file import ClusterFile


@pytest.fixture
def head(tmp_path, monkeypatch):
    """A head whose ssh prints a text and ends with 3."""

    def show(text):
        (tmp_path / "text").write_bytes(text)
        (tmp_path / "ssh").write_text(f"#!/bin/sh\ncat {tmp_path}/text; cat {tmp_path}/text >&2\nexit 3\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        cluster = ClusterFile(
            path=Path("c.yaml"),
            name="c",
            head_address="10.0.0.1",
            internal_head_address="10.0.0.1",
            worker_addresses=(),
            user="u",
            key=None,
            project="~/p",
        )
        return ssh_commands.show_on_head(cluster, "true")

    return show


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"\x1b[1;31mfailure\x1b[0m \xe2\x86\x92 mend it\n", "\x1b[1;31mfailure\x1b[0m → mend it\n"),
        (b"\x1b]52;c;cm0gLXJmCg==\x07\x1b[2J ok\n", "\\x1b]52;c;cm0gLXJmCg==\\x07\\x1b[2J ok\n"),
        (b"\x1b[\x1b[0m2J\xff no end", "\\x1b[\x1b[0m2J\ufffd no end"),
    ],
)
def test_colours_are_shown_and_nothing_else_is_obeyed(head, capsys, text, shown):
    assert head(text) == 3
    assert capsys.readouterr() == (shown, shown)
