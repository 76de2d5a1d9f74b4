"""What a head that has turned bad may answer: it is refused with its name, or has the form that it must have."""

import contextlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layersweep.records.read import part_range
from layersweep.records.tables import TABLES
from layersweep.tuning.cluster import head_answers
from layersweep.tuning.cluster.head_answers import HeadError, Job, Look, Records

PART = "00000000-00000007.parquet"
JOB = {"id": "j1", "status": "RUNNING", "exit_code": None, "message": "", "started": 1.5, "metadata": {"flags": "-a"}}
LOOK = {"results": "/there/results", "parts": {"epochs": [PART]}, "now": 2, "job": JOB}
ANSWERS = {"look": LOOK, "others": {"others": {"a sweep": LOOK["parts"]}}, "log": {"lines": ["one", "two"]}}


def line(answer):
    return json.dumps(answer).encode()


def test_answers_become_values():
    records = Records(results="/there/results", parts={"epochs": (PART,)})
    job = Job(id="j1", status="RUNNING", start=1.5, flags="-a")
    assert head_answers.look(LOOK) == head_answers.look(LOOK, "j1") == Look(records=records, now=2.0, job=job)
    assert head_answers.look(LOOK | {"job": None}).job is None
    assert head_answers.others(ANSWERS["others"]) == {"a sweep": {"epochs": (PART,)}}
    assert head_answers.log_lines(ANSWERS["log"], 1) == ("two",)


@pytest.mark.parametrize(
    "name",
    [
        "../../../../root/.ssh/authorized_keys", f"../{PART}", f"/tmp/{PART}", f"{PART}\0", f"{PART}\n", f"\x1b{PART}",
        "٠٠٠٠٠٠٠٠-٠٠٠٠٠٠٠٠.parquet", "*-*.parquet", "", ".", "x" * 5000, None, 7, ["a"], {"a": "b"},
    ],
)  # fmt: skip
def test_a_name_that_is_no_parts_is_refused(name):
    with pytest.raises(HeadError, match=r"its answer is not valid: parts\.epochs is "):
        head_answers.records(LOOK | {"parts": {"epochs": [name]}})


@pytest.mark.parametrize(
    "name",
    ["../other", "/etc", "a/b", "a\0b", "a\nb", "\x1b[2J", ".state", "..", "", "-x", "a*", "[ab]", "a?", "x" * 300],
)
def test_a_name_that_is_no_sweeps_is_refused(name):
    with pytest.raises(HeadError, match=r"its answer is not valid: others is .*; valid: the name of a sweep"):
        head_answers.others({"others": {name: {}}})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"results": "results"}, "results"),
        ({"results": "/there/../etc"}, "results"),
        ({"results": "/there\n/tmp"}, "results"),
        ({"results": "/" + "x" * 5000}, "results"),
        ({"results": None}, "results"),
        ({"parts": []}, "parts"),
        ({"parts": {"../epochs": []}}, "parts"),
        ({"parts": {"epochs": {PART: 1}}}, r"parts\.epochs"),
        ({"now": math.nan}, "now"),
        ({"now": math.inf}, "now"),
        ({"now": 1e300}, "now"),
        ({"now": 10**400}, "now"),
        ({"now": True}, "now"),
        ({"now": "2"}, "now"),
        ({"job": []}, "job"),
        ({"job": JOB | {"id": "j2"}}, r"job\.id"),
        ({"job": JOB | {"id": "-j; rm -rf ~"}}, r"job\.id"),
        ({"job": JOB | {"status": "DONE"}}, r"job\.status"),
        ({"job": JOB | {"exit_code": 1.5}}, r"job\.exit_code"),
        ({"job": JOB | {"exit_code": True}}, r"job\.exit_code"),
        ({"job": JOB | {"started": -1}}, r"job\.started"),
        ({"job": JOB | {"message": ["a"]}}, "message"),
        ({"job": JOB | {"metadata": None}}, r"job\.metadata"),
        ({"job": JOB | {"metadata": {"flags": 3}}}, r"job\.metadata\.flags"),
    ],
)
def test_a_value_of_another_form_is_named(change, what):
    with pytest.raises(HeadError, match=f"^its answer is not valid: {what} is .*; valid: ") as refusal:
        head_answers.look(LOOK | change, "j1")
    assert len(str(refusal.value)) < 500
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"now": ' + b"9" * 10_000 + b"}", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[1]", r"answer is \[1\]; valid: an object"),
        (b'{"error": "no\\nRay"}', "^no Ray$"),
        (b'{"error": 5}', "error is 5; valid: a text"),
    ],
)
def test_a_line_that_is_no_answer_is_refused(text, words):
    with pytest.raises(HeadError, match=words):
        head_answers.decode(text)


def test_halves_of_characters_can_be_printed():
    lines = head_answers.log_lines(head_answers.decode(b'{"lines": ["\\ud800 a"]}'), 20)
    assert "".join(lines).encode() == b"? a"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=10), values, max_size=4),
    max_leaves=8,
)


def places(value, path=()):
    """Each place in a JSON value."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from places(entry, (*path, key))


def changed(value, path, other):
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], other)
    return copy


@st.composite
def lines(draw):
    """Any bytes, any JSON, and answers with one place changed."""
    answer = ANSWERS[draw(st.sampled_from(sorted(ANSWERS)))]
    place = draw(st.sampled_from(list(places(answer))))
    values = [
        st.binary(max_size=200),
        JSON_VALUES.map(line),
        JSON_VALUES.map(lambda v: line(changed(answer, place, v))),
    ]
    return draw(st.one_of(values))


@settings(max_examples=300, deadline=None)
@given(text=lines())
def test_any_line_is_refused_or_has_the_form_of_an_answer(text):
    try:
        answer = head_answers.decode(text)
    except HeadError:
        return
    for read in (head_answers.look, head_answers.others, lambda a: head_answers.log_lines(a, 20)):
        with contextlib.suppress(HeadError):
            check(read(answer))


def check(value):
    """Whether a value can be used as a path, a time and a text."""
    if isinstance(value, Look):
        assert Path(value.records.results).is_absolute()
        check_parts(value.records.parts)
        assert math.isfinite(value.now)
        assert value.job is None or value.job.id.isprintable()
    elif isinstance(value, dict):
        for name, parts in value.items():
            assert Path(name).name == name
            check_parts(parts)
    else:
        assert all(text.encode() or text == "" for text in value)


def check_parts(parts):
    assert set(parts) <= set(TABLES)
    assert all(Path(name).name == name and part_range(Path(name)) for names in parts.values() for name in names)
