"""The part of the page about one trial."""

from layersweep.studies.pages import trial_part

TRIAL = {"id": "t1", "arm": "<adam>", "seed": 2, "state": "failed", "epoch": 3, "epochs": 10, "reason": "bad"}


def html(**more):
    details = {"config": [], "attempts": [], "layers": None, "log": "", "traceback": ""}
    return trial_part.html(TRIAL, details | more)


def test_what_differs_from_the_leader_is_first_and_bold():
    page = html(config=[["batch_size", 32, 32], ["learning_rate", 0.01, 0.001], ["dropout", None, 0.5]])
    assert page.index("learning_rate") < page.index("dropout") < page.index("batch_size")
    assert page.count('<tr class="differs">') == 2
    assert page.count('<tr class="quiet">') == 1


def test_texts_from_outside_are_escaped():
    page = html(log="<b>log</b>", traceback="<i>", config=[["<k>", "<v>", ""]])
    for text in ("<adam>", "<b>", "<i>", "<k>", "<v>"):
        assert text not in page
    assert "&lt;b&gt;log&lt;/b&gt;" in page
    assert "<details open><summary>Error</summary>" in page
    assert "<details><summary>Log</summary>" in page


def test_layers_and_attempts_are_tables():
    attempt = {
        "attempt": 0,
        "outcome": "failed",
        "epochs": 3,
        "seconds": 12.34567,
        "host": "h",
        "reason": "",
        "error": "ValueError: x",
    }
    rows = [["conv", "Conv2D", 320, 0.123456, 0.5, 1.0, None]]
    page = html(attempts=[attempt], layers={"epoch": 3, "rows": rows})
    assert "Layers after epoch 3" in page
    assert "0.1235" in page
    assert "ValueError: x" in page
    assert "12.35" in page


def test_a_request_is_in_the_button():
    assert "&quot;action&quot;: &quot;stop_trial&quot;, &quot;trial_id&quot;: &quot;t1&quot;" in html()
