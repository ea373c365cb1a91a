"""The JSON Schemas for editors agree with the parsers."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

import stepline.parsing
from stepline.parsing import parse_config, parse_manifest, parse_protocol
from tests.unit.parsing import test_manifest, test_protocol, test_protocol_config, test_task_script

HOME = Path(stepline.parsing.__file__).with_name("schemas")
SCHEMAS = {
    kind: json.loads((HOME / f"{kind}.schema.json").read_text())
    for kind in ("protocol", "config", "manifest")
}
PARSERS = {"protocol": parse_protocol, "config": parse_config, "manifest": parse_manifest}

STEP = {"task": {"namespace": "common", "slug": "s", "version": "v1.0.0", "function": "f"}}
ITEM = {"label": "L", "type": "string"}
PROTOCOL = {"protocolSchema": "v3", "steps": [STEP]}
REFUSED = {
    "protocol": {
        "no steps": {"protocolSchema": "v3"},
        "other schema": {**PROTOCOL, "protocolSchema": "v2"},
        "unknown key": {**PROTOCOL, "foo": 1},
        "name": {**PROTOCOL, "name": 1},
        "type": {**PROTOCOL, "type": "ids"},
        "namespace": {**PROTOCOL, "namespace": "x"},
        "slug": {**PROTOCOL, "slug": "a b"},
        "version": {**PROTOCOL, "version": "1.0.0"},
        "labels": {**PROTOCOL, "labels": [{"name": "a"}]},
        "catalog_keys": {**PROTOCOL, "catalog_keys": [1]},
        "constant name": {**PROTOCOL, "constants": {"a b": 1}},
        "trigger": {**PROTOCOL, "constraints": {"trigger": {"type": "x"}}},
        "no trigger": {**PROTOCOL, "constraints": {"trigger": {"type": []}}},
        "successWhen": {**PROTOCOL, "successWhen": "x"},
        "config name": {**PROTOCOL, "config": {"a b": ITEM}},
        "config label": {**PROTOCOL, "config": {"a": {"type": "string"}}},
        "config type": {**PROTOCOL, "config": {"a": {**ITEM, "type": "int"}}},
        "config key": {**PROTOCOL, "config": {"a": {**ITEM, "foo": 1}}},
        "config default": {**PROTOCOL, "config": {"a": {**ITEM, "default": 1}}},
        "config null": {**PROTOCOL, "config": {"a": {**ITEM, "default": None}}},
        "config secret": {**PROTOCOL, "config": {"a": {**ITEM, "type": "secret", "default": "x"}}},
        "config required": {**PROTOCOL, "config": {"a": {**ITEM, "required": "yes"}}},
        "component": {**PROTOCOL, "config": {"a": {**ITEM, "component": {"type": "radio"}}}},
        "component key": {
            **PROTOCOL,
            "config": {"a": {**ITEM, "component": {"type": "editor", "x": 1}}},
        },
        "component bounds": {
            **PROTOCOL,
            "config": {"a": {**ITEM, "type": "number", "component": {"type": "slider"}}},
        },
        "step key": {**PROTOCOL, "steps": [{**STEP, "foo": 1}]},
        "step id": {**PROTOCOL, "steps": [{**STEP, "id": "a b"}]},
        "step if": {**PROTOCOL, "steps": [{**STEP, "if": "x"}]},
        "no task": {**PROTOCOL, "steps": [{}]},
        "task key": {**PROTOCOL, "steps": [{"task": {**STEP["task"], "x": 1}}]},
        "task function": {**PROTOCOL, "steps": [{"task": {**STEP["task"], "function": 1}}]},
        "option": {**PROTOCOL, "steps": [{**STEP, "options": {"memory": 1}}]},
        "option value": {**PROTOCOL, "steps": [{**STEP, "options": {"memoryInMB": "x"}}]},
    },
    "config": {
        name: {k: v for k, v in {**test_task_script.BASE, **changes}.items() if v is not ...}
        for name, (changes, _) in test_task_script.FAULTS.items()
        if name != "same slug twice"
    },
    "manifest": {
        f"no {key}": {k: v for k, v in test_manifest.BASE.items() if k != key}
        for key in test_manifest.BASE
    },
}
CASES = [(kind, name, content) for kind, all_ in REFUSED.items() for name, content in all_.items()]


def editor_accepts(kind, content):
    return Draft7Validator(SCHEMAS[kind]).is_valid(content)


def parser_accepts(kind, content):
    return PARSERS[kind](json.dumps(content), path=f"{kind}.json").value is not None


@pytest.mark.parametrize("kind", SCHEMAS)
def test_schema_is_valid_itself(kind):
    Draft7Validator.check_schema(SCHEMAS[kind])


@pytest.mark.parametrize(("kind", "name", "content"), CASES, ids=[f"{k} {n}" for k, n, _ in CASES])
def test_schema_and_parser_refuse_the_same(kind, name, content):
    assert not editor_accepts(kind, content), name
    assert not parser_accepts(kind, content), name


def valid():
    yield (
        "protocol",
        stepline.parsing.parse_protocol(test_protocol.FULL, path="p.yml").value.document,
    )
    for fields, kind in test_protocol_config.FINE.values():
        text = (
            f"protocolSchema: v3\nsteps: []\nconfig: {{x: {{label: L, type: {kind}, {fields}}}}}\n"
        )
        yield "protocol", parse_protocol(text, path="p.yml").value.document
    yield "config", test_task_script.BASE
    for allowed in (None, [], test_task_script.IDS, [test_task_script.IDS]):
        function = {**test_task_script.FUNCTION, "allowedIds": allowed}
        yield "config", {**test_task_script.BASE, "functions": [function], "other": 1}
    yield "manifest", {**test_manifest.BASE, "labels": [], "include": ["*"], "more": {}}


def test_schema_and_parser_accept_the_same():
    wrong = [content for kind, content in valid() if not editor_accepts(kind, content)]
    assert wrong == []
    assert all(parser_accepts(kind, content) for kind, content in valid())


def test_schema_of_protocols_knows_every_key_of_the_parser():
    from stepline.parsing import manifest, protocol, protocol_config, protocol_steps, task_script

    known = SCHEMAS["protocol"]["definitions"]
    assert set(SCHEMAS["protocol"]["properties"]) == set(protocol.KEYS)
    assert set(known["configItem"]["properties"]) == set(protocol_config.KEYS)
    assert set(known["step"]["properties"]) == set(protocol_steps.KEYS)
    assert set(SCHEMAS["config"]["properties"]) == set(task_script.KEYS)
    assert set(SCHEMAS["manifest"]["properties"]) == set(manifest.KEYS)
