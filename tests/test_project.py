"""What the project promises of itself: README, docs and rooms agree with the code."""

import importlib
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from places import ROOT

from layersweep.records.tables import READABLE
from layersweep.tuning.command.all_sweeps import NOT_SWEEPS

SWEEPS = sorted(p.stem for p in (ROOT / "sweeps").glob("*.py") if p.stem not in NOT_SWEEPS)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def headings(page):
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text):
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in text.splitlines() if line.startswith("$ ")]


def test_ci_runs_the_readmes_own_test_command():
    readme = commands((ROOT / "README.md").read_text())
    assert readme[:2] == ["uv run sweeps/optimizers.py --quick", "uv run pytest"]
    assert readme[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_table_is_described():
    page = (ROOT / "docs" / "tables.md").read_text().partition("\n## Columns")[0]
    described = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", page, flags=re.MULTILINE))
    assert {name: ", ".join(table.key) for name, table in READABLE.items()} == described


def test_every_dependency_has_its_reason():
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    extras = PROJECT["project"]["optional-dependencies"]
    groups = [PROJECT["project"]["dependencies"], *extras.values(), *PROJECT["dependency-groups"].values()]
    names = {re.match(r"[\w\-]+(\[\w+\])?", entry)[0] for group in groups for entry in group}
    names -= {f"layersweep[{extra}]" for extra in extras}
    assert {name for name in names if name not in page} == set()


def test_a_group_of_an_extras_name_is_the_extra():
    """So that a clone and an installation have the same packages."""
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    assert {name: groups[name] for name in extras} == {name: [f"layersweep[{name}]"] for name in extras}


def test_the_files_that_pages_name_exist():
    """But for those that a reader is about to add, or that the page names from a room."""
    pages = [page for page in PAGES if not page.name.startswith("add_a_") and page.name != "architecture.md"]
    named = {path for page in pages for path in re.findall(r"[`(]([\w/]+/\w+\.py)[`)]", page.read_text())}
    assert sorted(path for path in named if not (ROOT / path).is_file()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_links_to_files_and_headings_that_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text)
    for target, heading in links:
        path = page.parent / target if target else page
        assert path.exists(), f"{target} does not exist"
        assert not heading or heading in headings(path), f"{target} has no heading #{heading}"


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_and_its_space_share_one_name_and_the_sweep_asks(name):
    sweep = importlib.import_module(f"sweeps.{name}").SWEEP
    assert sweep.name == name
    assert sweep.question.endswith("?")
    assert sweep.sections is not None
    sweep.check_sections()
    assert importlib.import_module(f"search_spaces.{name}").SPACES


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_not_named_after_a_library(name):
    """`python sweeps/x.py` puts sweeps/ first on the path: x must not hide a package."""
    distributions = importlib.metadata.packages_distributions()
    assert name not in sys.stdlib_module_names
    assert name not in distributions


@pytest.mark.parametrize("name", SWEEPS)
def test_help_answers_from_any_folder(name, tmp_path):
    script = ROOT / "sweeps" / f"{name}.py"
    ended = subprocess.run(
        [sys.executable, str(script), "--help"], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert "--results" in ended.stdout


@pytest.mark.parametrize("name", SWEEPS)
def test_the_start_needs_neither_ray_nor_keras(name):
    """A study imports neither at all; a sweep not before it trains."""
    code = (
        f"import sys, layersweep.studies.study, sweeps.{name}\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("before", [None, "", "alias x=y\n", "alias x=y"])
@pytest.mark.parametrize("name", ["cluster.yaml", "clusters/aws.yaml", "clusters/gcp.yaml"])
def test_ray_up_adds_whole_lines_to_bashrc_once(tmp_path, name, before):
    """The last line of a file may have no end."""
    (command,) = (c for c in yaml.safe_load((ROOT / name).read_text())["setup_commands"] if "bashrc" in c)
    file = tmp_path / ".bashrc"
    if before is not None:
        file.write_text(before)
    for _ in range(2):
        subprocess.run(["bash", "-c", command], env=os.environ | {"HOME": str(tmp_path)}, check=True)
    first, *added = file.read_text().splitlines() if before else ["", *file.read_text().splitlines()]
    assert first == (before or "").strip()
    assert [line.partition("=")[0] for line in added] == ["export PATH", "export RAY_AUTH_MODE", "export RAY_TMPDIR"]
