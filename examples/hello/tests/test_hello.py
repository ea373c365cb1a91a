"""What the function and the protocol do. The fixtures come with Stepline."""

import pytest


def test_greet_writes_the_greeting(run_function, files):
    output = run_function(
        "greet", {"greeting": "Hello"}, files={"input_file_pointer": "data/visitor.json"}
    )

    assert output["text"] == "Hello, Ada!"
    assert files.written["greeting.txt"].text == "Hello, Ada!\n"


def test_greet_file_without_a_name_fails(run_function, files):
    nobody = files.add("nobody.json", content={"name": ""})

    with pytest.raises(ValueError, match="names nobody"):
        run_function("greet", {"greeting": "Hello", "input_file_pointer": nobody})


def test_protocol_takes_the_greeting_from_its_config(run_protocol):
    workflow = run_protocol(
        "protocols/hello", input="data/visitor.json", config={"greeting": "Good morning"}
    )

    assert workflow.status == "completed"
    assert workflow.output["text"] == "Good morning, Ada!"
