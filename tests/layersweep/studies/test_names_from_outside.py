"""Names that want to be more than names: a study shows them, and they do nothing."""

import html
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import page_content
import pytest
from recorded_sweep import Sweep

from layersweep.escaping import terminal, to_markdown
from layersweep.records.study_question import StudyQuestion
from layersweep.studies import gallery
from layersweep.studies.sections import registry
from layersweep.studies.study import findings_of, write_study
from layersweep.terminal import Console

NAMES = (
    ("<script>alert(1)</script>", "[/x]", "\x1b[2J\x1b]52;c;aGk=\x07", "b\u202ec", "$x_{"),
    ("[red]b", "a\x00b", "c\ufffe", ":warning:", "=1\rc"),
    ("_hidden", "#0072b2", 'xmlns="x" id="a_1"', "`|*~", "http://a.b"),
)
HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ufffe]")


def record(results: Path, names: Sequence[str]) -> Path:
    """Arms, classes, an error and a question of these names; every section is shown."""
    sweep = Sweep(results, "mine")
    for seed, (number, name) in itertools.product((1, 2), enumerate(names)):
        curve = [0.5, 0.6, 0.9 - number / 10 + seed / 500]
        trial_id = sweep.trial(name, seed, curve, test=0.7, config={"optimizer": name}, flops=1000 * (number + 1))
        ids = {"trial_id": trial_id, "attempt": 0, "epoch": 3}
        for index, class_name in enumerate(names):
            row = {"set_name": "test", "class_index": index, "class_name": class_name, "predicted": [5, 1, 0, 0, 0]}
            sweep.add("classes", ids | row)
        sweep.add("exports", ids | {"form": "int8", "problem": name})
    name = names[0]
    sweep.trial("broken", 1, [], "failed", error_type=name, error_message=name, reason=name)
    question = StudyQuestion(text=" ".join(names), sections=(*registry.SECTIONS,))
    sweep.run(command=f"python {name}", **question.columns)
    return sweep.write()


@pytest.mark.parametrize("names", NAMES)
def test_names_are_shown_and_do_nothing(names: tuple[str, ...], tmp_path: Path) -> None:
    results, out = record(tmp_path / "r", names), io.StringIO()
    write_study(results, "mine", console=Console(file=out, width=300))
    page = (results / "studies" / "mine.html").read_text()
    *_, gallery_page = gallery.write(results, tmp_path / "gallery.md")
    for text in (out.getvalue(), page, gallery_page.read_text()):
        assert not HIDDEN.search(text), text
    assert not any(re.search(r"[<>&\u2028]", data) for data in page_content.scripts(page).values())
    assert page.count("<script") == 5
    drawing = html.unescape(page_content.elements(page).partition("<svg")[2])
    for name in names:
        assert terminal(name) in out.getvalue()
        assert name in page_content.text(page)
        assert f">{terminal(name)}</text>" in drawing
        assert to_markdown(f"a{name}")[1:] in gallery_page.read_text()


def test_a_group_of_arms_makes_no_file_in_another_folder(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "r", "mine")
    for seed in (1, 2):
        sweep.trial("a", seed, [0.1, 0.2], config={"note": "../../x/y"})
    sweep.run(**StudyQuestion(text="?", sections=(), apart={"note": "none"}).columns)
    results = sweep.write()
    (findings,) = findings_of(results, "mine")
    assert findings.name == "mine_note_.._.._x_y"
    write_study(results, "mine", console=Console(file=io.StringIO()))
    assert {path.suffix for path in (results / "studies").iterdir()} == {".html", ".png"}
