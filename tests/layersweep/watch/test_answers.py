"""What the server says of recorded sweeps; names and ids come from outside."""

import json
import threading
from html.parser import HTMLParser

import pytest
from recorded_sweep import Sweep
from watch_server import serving

from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.requests import folder_of, pending
from layersweep.watch import live_sweep
from layersweep.watch.answers import RecordedAnswers
from layersweep.watch.live_sweep import empty

HOSTILE = "</script><script>alert(1)</script><!--\u2028<img src=x onerror=alert(1)>"


def recorded(results, name="optimizers", *, running=True, arms=("adam", "sgd")):
    sweep = Sweep(results, name)
    for arm in arms:
        sweep.trial(arm, 1, [0.4, 0.5, 0.6], trial_id=f"{name}-{arms.index(arm)}")
        sweep.trial(arm, 2, [0.4, 0.5], None, trial_id=f"{name}-{arms.index(arm)}-2")
    sweep.run(first_sequence=0)
    return sweep.write()


@pytest.fixture(autouse=True)
def _fresh_values(monkeypatch):
    monkeypatch.setattr(live_sweep, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(live_sweep, "_COST_FACTOR", 0.0)


@pytest.fixture
def watched(tmp_path):
    results = recorded(tmp_path / "results")
    with serving(RecordedAnswers(results, ["optimizers"])) as client:
        client.results = results
        yield client


class Scripts(HTMLParser):
    """The scripts of a page and all tags outside of them."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.tags, self._attributes = {}, [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._attributes = dict(attributes) if tag == "script" else None

    def handle_endtag(self, tag):
        self._attributes = None

    def handle_data(self, data):
        if self._attributes is not None:
            self.scripts[self._attributes.get("id", f"nonce {self._attributes.get('nonce')} {len(self.scripts)}")] = (
                data
            )


def test_the_page_of_a_sweep_and_what_changed_since(watched):
    answer, content = watched.send()
    assert answer.status == 200
    scripts = Scripts(content.decode()).scripts
    values, config = json.loads(scripts["values"]), json.loads(scripts["config"])
    assert values["sweep"] == "optimizers"
    assert len(values["sources"]["trials"]["key"]) == 4
    assert (config["live"], config["query"]) == (True, "sweep=optimizers")
    query = f"?{config['query']}&since={config['version']}"
    assert json.loads(watched.send("updates", query=query)[1]) == {"version": config["version"]}
    everything = json.loads(watched.send("updates", query="?since=0")[1])
    assert len(everything["sources"]["trials"]["columns"]["key"]) == 4
    assert json.loads(watched.send("updates", query=f"?since={10**30}")[1]) == everything


def test_only_what_is_new_is_sent(watched):
    version = json.loads(watched.send("updates")[1])["version"]
    sweep = Sweep(watched.results)
    sweep.trial("rmsprop", 1, [0.7], trial_id="new")
    for table, number in (("plan", 2), ("trials", 2), ("epochs", 2)):
        add_part(watched.results, sweep, table, number)
    update = json.loads(watched.send("updates", query=f"?since={version}")[1])
    assert update["version"] == version + 1
    assert update["sources"]["trials"]["rows"]["key"] == ["new"]
    assert json.loads(watched.send("updates", query=f"?since={version + 1}")[1]) == {"version": version + 1}


def add_part(results, sweep, table, number):
    """Writes the rows of a made-up sweep as one more part."""
    other = Sweep(results.parent / "other", sweep.name)
    other.rows = sweep.rows
    (source,) = (other.write() / table / sweep.name).glob("*.parquet")
    source.rename(results / table / sweep.name / f"{number:08d}-{number:08d}.parquet")


def test_one_trial(watched):
    html = json.loads(watched.send("trial", query="?id=optimizers-0")[1])["html"]
    assert "<h2>adam, seed 1</h2>" in html
    assert "completed" in html
    for name in ("", "none", "optimizers-0'", "../optimizers-0", "%00", "x" * 3000):
        assert watched.send("trial", query=f"?id={name}")[0].status == 404


@pytest.mark.parametrize(
    "name",
    ["none", "", "..", "../results", "/etc", ".state", "%00", "optimizers/", "OPTIMIZERS", "%F0%9F%98%80", "%FF"],
)
def test_a_sweep_that_is_not_recorded_is_named_with_those_that_are(watched, name):
    for path in ("", "updates", "trial"):
        answer, content = watched.send(path, query=f"?sweep={name}")
        assert answer.status == 404
        assert b"recorded sweeps: optimizers" in content
    assert watched.ask({"sweep": name, "action": "stop_sweep"})[0].status == 404


def test_a_sweep_before_its_first_row_has_a_page(tmp_path):
    with serving(RecordedAnswers(tmp_path, ["new"])) as client:
        scripts = Scripts(client.send()[1].decode()).scripts
        assert "no results of sweep 'new'" in str(json.loads(scripts["values"])["notes"])
        recorded(tmp_path, "new")
        update = json.loads(client.send("updates", query="?since=1")[1])
        assert len(update["sources"]["trials"]["rows"]["key"]) == 4
        assert "no results" not in str(update["notes"])


def test_a_damaged_part_is_said_and_the_others_are_shown(watched):
    version = json.loads(watched.send("updates")[1])["version"]
    (watched.results / "epochs" / "optimizers" / "00000002-00000002.parquet").write_bytes(b"PAR1 no")
    update = json.loads(watched.send("updates", query=f"?since={version}")[1])
    assert "is damaged" in str(update["notes"])
    assert "sources" not in update  # nothing went away


def test_records_of_a_newer_schema_are_said(watched, monkeypatch):
    monkeypatch.setattr("layersweep.records.read.SCHEMA_VERSION", -1)
    answer, content = watched.send()
    assert answer.status == 200
    assert "use a newer Layersweep" in content.decode()


def test_a_table_may_be_rewritten_while_it_is_read(watched):
    """A writer merges parts again and again, a hundred times a second; no answer lacks a row, and none is an error."""
    folder = watched.results / "epochs" / "optimizers"
    (part,) = folder.glob("*.parquet")
    content, stop = part.read_bytes(), threading.Event()

    def rewrite():
        number = 1
        while not stop.wait(0.01):
            number += 1
            merged = folder / f"00000001-{number:08d}.parquet"
            (folder / ".new").write_bytes(content)
            (folder / ".new").rename(merged)
            for old in folder.glob("00000001-*.parquet"):
                if old != merged:
                    old.unlink()

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(20):
            update = json.loads(watched.send("updates")[1])
            assert len(update["sources"]["seeds"]["columns"]["key"]) == 4
            assert "cannot be read" not in str(update["notes"])
    finally:
        stop.set()
        thread.join()


def test_names_from_outside_are_no_html(tmp_path):
    results = recorded(tmp_path, arms=(HOSTILE, "sgd"))
    with serving(RecordedAnswers(results)) as client:
        listed = client.send()[1].decode()
        page = client.send(query="?sweep=optimizers")[1].decode()
    assert "<img" not in listed + page
    assert "\u2028" not in page
    parsed = Scripts(page)
    assert HOSTILE in json.loads(parsed.scripts["values"])["sources"]["trials"]["arm"]
    assert "img" not in parsed.tags
    assert parsed.tags.count("script") == 5


def test_several_sweeps_are_side_by_side(tmp_path):
    recorded(tmp_path, "a")
    recorded(tmp_path, "b", arms=("adam",))
    with serving(RecordedAnswers(tmp_path, ["a", "b"])) as client:
        values = json.loads(Scripts(client.send()[1].decode()).scripts["values"])
        assert values["sources"]["trials"]["key"] == ["a:a-0", "a:a-0-2", "a:a-1", "a:a-1-2", "b:b-0", "b:b-0-2"]
        assert {*values["sources"]["trials"]["arm"]} == {"a: adam", "a: sgd", "b: adam"}
        for name in ("b:b-0", "b-0"):
            html = json.loads(client.send("trial", query=f"?sweep=a&sweep=b&id={name}")[1])["html"]
            assert "<h2>b: adam, seed 1</h2>" in html
        assert client.send("trial", query="?sweep=a&id=b:b-0")[0].status == 404
        many = "&".join(f"sweep={i}" for i in range(11))
        assert client.send(query=f"?{many}")[0].status == 400


def test_a_person_asks_a_running_sweep(watched):
    with sweep_lock(watched.results, "optimizers"):
        for values in (
            {"sweep": "optimizers", "action": "stop_trial", "trial_id": "optimizers-0-2"},
            {"sweep": "a, b", "action": "stop_trial", "trial_id": "optimizers:optimizers-0-2"},
            {"sweep": "optimizers", "action": "stop_sweep"},
            {"sweep": "optimizers", "action": "add_seeds", "seeds": 2},
        ):
            answer, content = watched.ask(values)
            assert answer.status == 200, content
            assert "optimizers was asked to" in json.loads(content)["sentence"]
        requests = pending(watched.results, "optimizers")
    assert [(each.action, each.trial_id, each.seeds) for each in requests] == [
        ("stop_trial", "optimizers-0-2", None),
        ("stop_trial", "optimizers-0-2", None),
        ("stop_sweep", None, None),
        ("add_seeds", None, 2),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"null", b"\xff", b"[" * 4000, {}, {"sweep": "optimizers"}, {"action": "stop_sweep"},
        {"sweep": "optimizers", "action": "rm"}, {"sweep": ["optimizers"], "action": "stop_sweep"},
        {"sweep": "optimizers", "action": "stop_trial"},
        {"sweep": "optimizers", "action": "stop_trial", "trial_id": "../x"},
        {"sweep": "optimizers", "action": "stop_trial", "trial_id": 5},
        {"sweep": "optimizers", "action": "add_seeds", "seeds": 0},
        {"sweep": "optimizers", "action": "add_seeds", "seeds": True},
        {"sweep": "optimizers", "action": "add_seeds", "seeds": "2"},
        {"sweep": "optimizers", "action": "stop_sweep", "path": "/etc"},
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_puts_nothing_there(watched, body):
    with sweep_lock(watched.results, "optimizers"):
        answer, content = watched.ask(body)
    assert answer.status in (400, 404)
    assert json.loads(content)["error"]
    assert not folder_of(watched.results, "optimizers").exists()


def test_a_sweep_that_has_ended_cannot_be_asked(watched):
    answer, content = watched.ask({"sweep": "optimizers", "action": "stop_sweep"})
    assert (answer.status, "is not running" in content.decode()) == (409, True)
    assert not folder_of(watched.results, "optimizers").exists()


def test_looking_changes_nothing(watched):
    def state():
        return {path: path.stat().st_mtime_ns for path in watched.results.rglob("*")}

    before = state()
    for path in ("", "sweeps", "updates", "trial", "request", "nothing"):
        watched.send(path, query="?sweep=optimizers&id=optimizers-0&action=stop_sweep")
    assert state() == before


def test_details_that_cannot_be_read_are_a_sentence(tmp_path):
    class Source:
        def refresh(self):
            return True

        def payload(self):
            full = empty("s")
            return {**full, "trials": {**full["trials"], "id": ["t"]}}

        def details(self, trial_id):
            raise ResultsError("cannot read layers")

    answers = RecordedAnswers(tmp_path, ["s"], open_sweep=lambda _, name: live_sweep.LiveSweep(name, Source()))
    with serving(answers) as client:
        answer, content = client.send("trial", query="?id=t")
        assert (answer.status, json.loads(content)) == (404, {"error": "cannot read layers"})
