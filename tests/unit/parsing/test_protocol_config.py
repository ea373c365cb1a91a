"""Config items: types, defaults, schemas and controls."""

import pytest

from stepline.parsing import parse_protocol


def codes(fields, kind="string"):
    text = f"protocolSchema: v3\nsteps: []\nconfig: {{x: {{label: L, type: {kind}, {fields}}}}}\n"
    parsed = parse_protocol(text, path="p.yml")
    return [problem.code for problem in parsed.problems]


FINE = {
    "text": ("default: a", "string"),
    "number": ("default: 1.5", "number"),
    "false": ("default: false", "boolean"),
    "object": ("default: {a: 1}", "object"),
    "list": ("default: [1]", "array"),
    "secret": ("required: true", "secret"),
    "schema": ("schema: {minLength: 2}, default: ab", "string"),
    "schema of an object": ("schema: {properties: {a: {type: string}}}, default: {a: b}", "object"),
    "schema of a list": ("schema: {items: {type: number}}, default: [1, 2]", "array"),
    "schema with its type": ("schema: {type: array}", "array"),
    "textarea": ("component: {type: textarea, placeholder: p}", "string"),
    "slider": ("component: {type: slider, min: 0, max: 9, step: 3}", "number"),
    "checkbox": ("component: {type: checkbox}", "boolean"),
    "select": ("component: {type: select, options: [{label: A, value: a}]}", "string"),
    "multiselect": ("component: {type: multiselect, options: [{label: A, value: 1}]}", "array"),
    "null as an option": (
        "component: {type: select, options: [{label: A, value: null}, {label: B, value: b}]}",
        "string",
    ),
}
FAULTS = {
    "number as text": ("default: 1", "string", ["default-type"]),
    "text as number": ("default: '1'", "number", ["default-type"]),
    "yes": ("default: yes", "boolean", ["default-type"]),
    "null": ("default: null", "object", ["null-default"]),
    "secret with default": ("default: a", "secret", ["secret-field"]),
    "secret with schema": ("schema: {}", "secret", ["secret-field"]),
    "secret with control": ("component: {type: textarea}", "secret", ["secret-field"]),
    "schema of another type": ("schema: {type: number}", "string", ["schema-type"]),
    "integer is not number": ("schema: {type: integer}", "number", ["schema-type"]),
    "broken schema": ("schema: {minLength: -1}, default: a", "string", ["invalid-schema"]),
    "schema is text": ("schema: a", "string", ["wrong-type"]),
    "default against schema": ("schema: {minLength: 2}, default: a", "string", ["default-schema"]),
    "default against its type": (
        "schema: {items: {type: number}}, default: [a]",
        "array",
        ["default-type"],
    ),
    "control of another type": (
        "component: {type: slider, min: 0, max: 9}",
        "string",
        ["component-type"],
    ),
    "unknown control": ("component: {type: radio}", "string", ["unknown-value"]),
    "control without type": ("component: {}", "string", ["missing-key"]),
    "slider without bounds": (
        "component: {type: slider}",
        "number",
        ["missing-key", "missing-key"],
    ),
    "option without value": (
        "component: {type: select, options: [{label: A}]}",
        "string",
        ["missing-key"],
    ),
    "extra key of a control": ("component: {type: checkbox, on: 1}", "boolean", ["unknown-key"]),
}


@pytest.mark.parametrize(("fields", "kind"), FINE.values(), ids=FINE)
def test_config_item_sound_has_no_problem(fields, kind):
    assert codes(fields, kind) == []


@pytest.mark.parametrize(("fields", "kind", "expected"), FAULTS.values(), ids=FAULTS)
def test_config_item_fault_has_its_code(fields, kind, expected):
    assert codes(fields, kind) == expected


def test_config_schema_fault_points_into_the_schema():
    item = "x: {label: L, type: object, schema:\n    {required: a}}"
    text = f"protocolSchema: v3\nsteps: []\nconfig:\n  {item}\n"
    (problem,) = parse_protocol(text, path="p.yml").problems
    assert (problem.where.line, problem.where.column) == (5, 16)
    assert problem.source == "config.x.schema.required"


@pytest.mark.parametrize(
    "schema", ["{$ref: 'http://127.0.0.1:9/x'}", "{pattern: '('}", "{$ref: '#/$defs/none'}"]
)
def test_config_schema_that_cannot_be_applied_only_warns(schema):
    assert codes(f"schema: {schema}, default: a") == ["unusable-schema"]


def test_config_schema_that_calls_itself_without_end_only_warns():
    assert codes("schema: {$ref: '#'}, default: a") == ["unusable-schema"]


@pytest.mark.parametrize(
    ("read", "code"),
    [
        ("config.o.a", None),
        ("config.o.missing", "unknown-member"),
        ("config.l[3]", None),
        ("config.l.length", "unknown-member"),
        ("config.free.any.thing", None),
    ],
)
def test_config_schema_types_what_expressions_read(read, code):
    text = (
        "protocolSchema: v3\nconfig:\n"
        "  o: {label: L, type: object, required: true, schema: {properties: {a: {type: string}}}}\n"
        "  l: {label: L, type: array, required: true, schema: {items: {type: string}}}\n"
        "  free: {label: L, type: object}\n"
        f"steps: []\nonFailed: $( {read} )\n"
    )
    found = [problem.code for problem in parse_protocol(text, path="p.yml").problems]
    assert found == ([code] if code else [])
