"""Protocols: what the parser reports, where, and the model it gives."""

from textwrap import dedent

import pytest

from stepline.errors import ProtocolError
from stepline.model.protocol import ConfigType, StepOptions, TaskReference, TriggerType
from stepline.parsing import build_protocol, parse_protocol

FULL = dedent(
    """\
    protocolSchema: v3
    name: Push
    description: Clean and push
    namespace: private-me
    slug: push
    version: v1.2.0
    labels: [{name: team, value: lab}]
    catalog_keys: [any]
    constraints: {trigger: {type: [file, scheduled]}}
    constants:
      limit: 10
      all: {limit: $( constants.limit ), file: $( workflow.inputFile )}
    config:
      user: {label: User, type: string, required: true, description: Who}
      retry: {label: Retry, type: boolean, default: false}
      extra: {label: Extra, type: object}
    steps:
      - id: clean
        description: Make it tidy
        task: {namespace: common, slug: clean, version: 1.0.0, function: run}
        input: {file: $( workflow.inputFile ), who: [$( config.user )]}
        options: {memoryInMB: 512, timeoutInSec: $( constants.limit )}
        continueOnError: $( config.retry )
      - task: {namespace: common, slug: push, version: ^2, function: push}
        if: $( steps.clean.isSuccess )
        input: $( steps.clean.output )
    successWhen: $( steps.clean.isSuccess )
    onFailed: {error: $( steps.clean.error )}
    """
)


def parse(text):
    return parse_protocol(dedent(text), path="protocol.yml")


def step(*lines, head=""):
    """A protocol with one step `a` that has these further lines."""
    task = "task: {namespace: common, slug: s, version: v1.0.0, function: f}"
    body = "".join(f"    {line}\n" for line in lines)
    return f"protocolSchema: v3\n{head}steps:\n  - id: a\n    {task}\n{body}"


def test_parse_protocol_full_document_gives_the_model():
    parsed = parse(FULL)
    protocol = parsed.unwrap(ProtocolError)
    clean, push = protocol.steps
    assert clean.task == TaskReference("common", "clean", "v1.0.0", "run")
    assert clean.options == StepOptions(memory_mb=512, timeout_s="$( constants.limit )")
    assert (clean.condition, clean.continue_on_error) == (True, "$( config.retry )")
    assert (push.id, push.name, push.task.version) == (None, "steps[1]", "^2")
    assert push.condition == "$( steps.clean.isSuccess )"
    assert protocol.triggers == {TriggerType.FILE, TriggerType.SCHEDULED}
    assert protocol.config["user"].required
    assert protocol.config["retry"].default is False
    assert protocol.config["extra"].type is ConfigType.OBJECT
    assert protocol.has_on_failed
    assert (protocol.slug, protocol.version, protocol.name) == ("push", "v1.2.0", "Push")


def test_parse_protocol_full_document_warns_of_versions_only():
    codes = [(p.code, p.severity, p.where.line) for p in parse(FULL).problems]
    assert codes == [("version-form", "warning", 20), ("version-range", "warning", 24)]


def test_build_protocol_from_the_document_gives_the_same_model():
    protocol = parse(FULL).value
    assert build_protocol(protocol.document) == protocol


def test_parse_protocol_json_file_is_read_as_json():
    text = '{"protocolSchema": "v3", "steps": [],}'
    parsed = parse_protocol(text, path="protocol.json")
    assert [p.code for p in parsed.problems] == ["json-syntax"]
    assert parse_protocol(text, path="protocol.yml").value is not None


def test_parse_protocol_positions_tell_where_things_are():
    parsed = parse(FULL)
    assert str(parsed.locate("config.retry")) == "protocol.yml:15:3"
    assert str(parsed.locate("steps[1].task.function")) == "protocol.yml:24:66"
    assert str(parsed.locate("steps[1].options.memoryInMB")) == "protocol.yml:24:5"
    assert str(parsed.locate("nothing.here")) == "protocol.yml:1:1"


def test_parse_protocol_v2_is_refused_with_this_alone():
    problems = parse("protocolSchema: v2\nname: old\nsteps: [{slug: a}]\n").problems
    assert [p.code for p in problems] == ["protocol-v2"]
    assert "can be kept, but not run" in problems[0].message
    assert "protocolSchema: v3" in problems[0].hint


def test_parse_protocol_all_problems_come_at_once_in_order():
    text = """\
        protocolSchema: v3
        nmae: x
        config:
          a: {label: 1, type: strng}
        steps:
          - id: a
            task: {namespace: common, slug: s, version: latest}
            input: {x: $( config.b ), y: $( 1 + 1 )}
          - id: a
            if: $( steps.z.isFailed )
    """
    found = [(p.code, p.where.line, p.where.column) for p in parse(text).problems]
    assert found == [
        ("unknown-key", 2, 1),
        ("wrong-type", 4, 14),
        ("unknown-value", 4, 23),
        ("missing-key", 7, 11),
        ("invalid-version", 7, 49),
        ("unknown-member", 8, 26),
        ("operator", 8, 39),
        ("missing-key", 9, 5),
        ("duplicate-step", 9, 9),
        ("unknown-step", 10, 18),
    ]


PROBLEMS = {
    "empty file": ("", "empty-file", 1, 1, "", "is empty"),
    "only null": ("~", "empty-file", 1, 1, "", "is empty"),
    "a list": ("- a", "not-a-mapping", 1, 1, "", "not a list"),
    "no schema": ("steps: []", "missing-key", 1, 1, "", "`protocolSchema` is missing"),
    "unknown schema": ("protocolSchema: v4\nsteps: []", "unknown-schema", 1, 17, "v3", "not v4"),
    "misspelt key": (step(head="desciption: x\n"), "unknown-key", 2, 1, "'description'", "desc"),
    "merge key": (step("<<: {a: 1}"), "unknown-key", 5, 5, "no merge keys", "`<<`"),
    "name is a number": (step(head="name: 1.0\n"), "wrong-type", 2, 7, '"1.0"', "not a number"),
    "null value": (step(head="name:\n"), "wrong-type", 2, 6, "remove the key", "not null"),
    "bad version": (step(head="version: 1.0.0\n"), "invalid-version", 2, 10, "vX.Y.Z", "1.0.0"),
    "bad namespace": (step(head="namespace: me\n"), "invalid-namespace", 2, 12, "private-", "me"),
    "bad trigger": (
        step(head="constraints: {trigger: {type: [file, upload]}}\n"),
        *("unknown-value", 2, 38, "'file', 'scheduled'", "upload"),
    ),
    "no trigger": (
        step(head="constraints: {trigger: {type: []}}\n"),
        *("wrong-type", 2, 31, "file or scheduled", "is empty"),
    ),
    "bad id": (
        "protocolSchema: v3\nsteps: [{id: a b}]",
        "invalid-identifier",
        2,
        14,
        "letters",
        "a b",
    ),
    "step is text": ("protocolSchema: v3\nsteps: [x]", "wrong-type", 2, 9, "", "`steps[0]`"),
    "yes as condition": (step("if: yes"), "wrong-type", 5, 9, "true or false without", "not text"),
    "forgotten dollar": (step("if: config.x"), "wrong-type", 5, 9, "$( config.x )", "not text"),
    "interpolation": (step("if: x $( config.x )"), "wrong-type", 5, 9, "whole text", "not text"),
    "text as memory": (step("options: {memoryInMB: '5'}"), "wrong-type", 5, 27, "", "a number"),
    "unknown option": (
        step("options: {memory: 5}"),
        "unknown-key",
        5,
        15,
        "'memoryInMB'",
        "memory",
    ),
    "option of a wrong type": (
        step("options: {memoryInMB: $( workflow.id )}"),
        *("option-type", 5, 27, "", "must be a number, not string"),
    ),
    "both spellings": (
        step("options: {timeoutInSec: 5, timeontInSec: 5}"),
        *("duplicate-key", 5, 32, "remove it", "misspelling"),
    ),
    "range of versions that is none": (
        "protocolSchema: v3\nsteps: [{task: "
        "{namespace: common, slug: s, version: latest, function: f}}]",
        *("invalid-version", 2, 54, "v1.0.0", "'latest' is not a version"),
    ),
    "bad constant name": (
        step(head="constants: {a b: 1}\n"),
        "invalid-identifier",
        2,
        13,
        "",
        "a b",
    ),
    "constant in a cycle": (
        step(head="constants: {a: $( constants.b ), b: $( constants.a )}\n"),
        *("constant-cycle", 2, 16, "a → b → a", "`a` uses itself"),
    ),
    "constant that reads steps": (
        step(head="constants: {a: $( steps.a )}\n"),
        *("unknown-name", 2, 19, "", "no `steps` here"),
    ),
    "deep fault": (
        step("input:", "  a: [1, {b: '$( workflow.inputFile.key )'}]"),
        *("unknown-member", 6, 41, "'fileKey'", "no member `key`"),
    ),
    "fault in a block": (
        step("input: |", "  $( coalesce(", "     config.nope) )"),
        *("unknown-member", 7, 17, "", "`config` has no member"),
    ),
    "optional boolean in if": (
        step("if: $( config.b )", head="config: {b: {label: B, type: boolean}}\n"),
        *("not-boolean", 6, 9, "coalesce", "boolean | null"),
    ),
    "text in successWhen": (
        step() + "successWhen: $( steps.a.status )\n",
        *("not-boolean", 5, 14, "", '"success" | "failed" | "skipped"'),
    ),
    "own state in if": (
        step("if: $( steps.a.isFailed )"),
        *("forward-reference", 5, 18, "earlier steps", "this step itself"),
    ),
}


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "hint", "words"), PROBLEMS.values(), ids=PROBLEMS
)
def test_parse_protocol_fault_says_what_where_and_hint(text, code, line, column, hint, words):
    parsed = parse_protocol(text, path="protocol.yml")
    assert parsed.value is None
    found = {(p.code, p.where.line, p.where.column): p for p in parsed.errors}
    assert (code, line, column) in found
    problem = found[(code, line, column)]
    assert hint in problem.hint
    assert words in problem.message


WARNINGS = {
    "misspelt time-out": (step("options: {timeontInSec: 5}"), "misspelt-option", 5, 15),
    "index of a step": (
        step() + "onFailed: $( steps[0].error )\n",
        *("step-index", 5, 20),
    ),
    "never runs": (step("if: $( not(true) )"), "constant-condition", 5, 9),
    "literally never runs": (step("if: false"), "constant-condition", 5, 9),
    "always succeeds": (step() + "successWhen: true\n", "constant-condition", 5, 14),
    "expression as function": (
        "protocolSchema: v3\nsteps: [{task: {namespace: common, slug: s, version: v1.0.0,"
        " function: $( config.f )}}]\n",
        *("literal-expression", 2, 72),
    ),
    "expression as description": (step("description: $( x )"), "literal-expression", 5, 18),
    "other key of constraints": (step(head="constraints: {triggers: 1}\n"), "unknown-key", 2, 15),
    "default that is never used": (
        step(head="config: {a: {label: A, type: string, required: true, default: x}}\n"),
        *("unused-default", 2, 54),
    ),
    "default that looks like an expression": (
        step(head="config: {a: {label: A, type: string, default: $( x )}}\n"),
        *("literal-expression", 2, 47),
    ),
    "default of an object": (
        step(head="config: {a: {label: A, type: object, default: x}}\n"),
        *("default-type", 2, 47),
    ),
}


@pytest.mark.parametrize(("text", "code", "line", "column"), WARNINGS.values(), ids=WARNINGS)
def test_parse_protocol_dubious_text_warns_and_is_valid(text, code, line, column):
    parsed = parse_protocol(text, path="protocol.yml")
    assert parsed.value is not None
    found = [(p.code, p.severity, p.where.line, p.where.column) for p in parsed.problems]
    assert found == [(code, "warning", line, column)]


@pytest.mark.parametrize(
    ("text", "source", "expression"),
    [
        (step("input: {x: [$( foo )]}"), "steps.a.input.x[0]", "foo"),
        (step(head="constants: {a: {b: $( foo )}}\n"), "constants.a.b", "foo"),
        (step("if: $(  1 )"), "steps.a.if", "1"),
        (step() + "onFailed: $( a b )\n", "onFailed", "a b"),
    ],
)
def test_parse_protocol_fault_carries_source_and_expression(text, source, expression):
    (problem,) = parse_protocol(text, path="protocol.yml").problems
    assert (problem.source, problem.expression) == (source, expression)


@pytest.mark.parametrize(("name", "source"), [("a-b", 'steps["a-b"].if'), (None, "steps[0].if")])
def test_parse_protocol_source_names_steps_by_id_or_index(name, source):
    line = f"id: {name}, " if name else ""
    task = "task: {namespace: common, slug: s, version: v1.0.0, function: f}"
    (problem,) = parse(f"protocolSchema: v3\nsteps: [{{{line}if: 1, {task}}}]").problems
    assert problem.source == source


def test_parse_protocol_same_fault_through_an_alias_is_reported_once():
    parsed = parse(step("input: {a: &x [$( foo )], b: *x, c: *x}"))
    assert [p.code for p in parsed.problems] == ["unknown-name"]


def test_parse_protocol_value_that_constants_blow_up_is_refused():
    lines = [f"  c{i}: [{', '.join([f'$( constants.c{i + 1} )'] * 9)}]" for i in range(8)]
    parsed = parse("protocolSchema: v3\nconstants:\n" + "\n".join(lines) + "\n  c8: 1\nsteps: []\n")
    assert {p.code for p in parsed.problems} == {"too-large"}


def test_parse_protocol_thousands_of_faults_are_cut_off():
    parsed = parse("protocolSchema: v3\nsteps: []\n" + "".join(f"k{i}: 1\n" for i in range(5000)))
    assert len(parsed.problems) == 201
    assert parsed.problems[-1].code == "too-many-problems"


def test_parse_protocol_with_errors_keeps_its_sound_steps():
    text = step("if: 1") + "  - task: {slug: s}\n"
    parsed = parse_protocol(text, path="protocol.yml")
    assert [(s.index, s.id, s.task.slug) for s in parsed.steps] == [(0, "a", "s")]


def test_unwrap_invalid_protocol_raises_with_all_problems():
    parsed = parse(step("if: 1", "input: $( x )"))
    with pytest.raises(ProtocolError, match=r"protocol\.yml has 2 errors") as caught:
        parsed.unwrap(ProtocolError)
    assert caught.value.problems == parsed.problems
    assert str(caught.value.where) == "protocol.yml:5:9"
    assert caught.value.hint
