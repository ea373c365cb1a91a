"""Which way each kind of log takes through the protocol, and what the functions do."""

import pytest

GOOD = "data/F07_2025-03-04.csv"
SHORT_GAPS = "data/F07_2025-03-05.csv"
LONG_GAP = "data/F12_2025-03-05.csv"


def statuses(workflow):
    return {name: step.status for name, step in workflow.steps.items()}


def test_protocol_complete_log_is_reported(run_protocol):
    workflow = run_protocol(input=GOOD)

    assert statuses(workflow) == {
        "parse": "success",
        "check": "success",
        "repair": "skipped",
        "quarantine": "skipped",
        "report": "success",
    }
    assert workflow.status == "completed"
    assert workflow.output["filled"] == []
    assert workflow.output["minutes_above_limit"] == 70


def test_protocol_short_gaps_are_filled_and_reported(run_protocol):
    workflow = run_protocol(input=SHORT_GAPS)

    assert statuses(workflow)["check"] == "failed"
    filled = ["2 readings missing from 04:10", "1 reading missing from 17:10"]
    assert workflow.steps["check"].error == "; ".join(filled)
    assert (workflow.status, workflow.output["filled"]) == ("completed", filled)
    assert workflow.files["report.json"].json() == workflow.output


def test_protocol_long_gap_is_quarantined(run_protocol, files):
    workflow = run_protocol(input=LONG_GAP)

    assert workflow.status == "failed"
    assert workflow.error == {
        "file": files.input["fileKey"],
        "reason": "54 readings missing from 13:50; at most 3 can be filled",
        "quarantined": True,
    }
    assert statuses(workflow)["report"] == "skipped"
    # The log keeps its label, and no report was written.
    assert files["F12_2025-03-05.csv"].labels == [("quality", "quarantined")]
    assert set(workflow.files) == {"day.json"}


def test_protocol_longer_gaps_may_be_allowed(run_protocol):
    assert run_protocol(input=LONG_GAP, config={"longest_gap": 60}).status == "completed"


def test_protocol_what_is_no_log_fails_at_once(run_protocol, files):
    notes = files.add("notes.csv", content="# freezer: F07\ntime,temperature_c\nbroken, it seems\n")

    workflow = run_protocol(input=notes)

    assert workflow.error["reason"] == "line 3 is not a reading: 'broken, it seems'"
    assert set(statuses(workflow).values()) == {"failed", "skipped"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no readings", id="empty"),
        pytest.param("2025-03-04T00:00,-80", "names no freezer", id="no freezer"),
        pytest.param(
            "# freezer: F\n2025-03-04T00:00,-80\n2025-03-05T00:00,-80",
            "of 2025-03-04 and of 2025-03-05",
            id="two days",
        ),
    ],
)
def test_parse_other_text_is_refused(script_module, text, message):
    with pytest.raises(ValueError, match=message):
        script_module("temperatures").parse(text)


def test_fill_draws_a_line_over_the_gap(script_module):
    temperatures = script_module("temperatures")
    celsius = [-80.0] * 10 + [None, None] + [-77.0] * 132

    assert temperatures.fill(celsius, longest=2)[9:13] == [-80.0, -79.0, -78.0, -77.0]


def test_fill_gap_at_the_edge_of_the_day_is_refused(script_module):
    with pytest.raises(ValueError, match="1 reading missing from 00:00, at the edge"):
        script_module("temperatures").fill([None] + [-80.0] * 143, longest=2)
