"""Protocols, valid and broken in many ways, for asking two judges about each.

All of them are made without randomness that is not seeded, so that the same name means the same
text everywhere.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEAD = "protocolSchema: v3\n"
TASK = "task: {namespace: common, slug: s, version: v1.0.0, function: f}"
RANDOM_CASES = 300


def protocol_cases() -> dict[str, str]:
    """All cases by unique name."""
    cases: dict[str, str] = {}
    for name, text in (*_ruled(), *_conformance(), *_random()):
        assert name not in cases, name
        cases[name] = text
    return cases


def _ruled() -> Iterator[tuple[str, str]]:
    for group in (_top, _identity, _constants, _config, _schemas, _components, _steps, _versions):
        yield from group()
    for group in (_options, _references, _triggers, _types, _yaml):
        yield from group()


def top(line: str) -> str:
    return f"{HEAD}{line}\nsteps: []\n"


def one_step(*lines: str, before: str = "", task: str = TASK) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{HEAD}{before}steps:\n  - id: a\n    {task}\n{body}"


def two_steps(*second: str, first: tuple[str, ...] = (), after: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in first)
    more = "".join(f"    {line}\n" for line in second)
    return f"{HEAD}steps:\n  - id: a\n    {TASK}\n{lines}  - id: b-2\n    {TASK}\n{more}{after}"


def _top() -> Iterator[tuple[str, str]]:
    yield "minimal", HEAD + "steps: []\n"
    for value in ("v2", "V3", "3", "null", "[v3]", "'v3'", "v3.0", "''"):
        yield f"protocolSchema {value}", f"protocolSchema: {value}\nsteps: []\n"
    yield "no protocolSchema", "steps: []\n"
    yield "no steps", HEAD
    for value in ("null", "{}", "x", "[null]", "[x]", "[{}]", "[[]]", "[1]"):
        yield f"steps {value}", f"{HEAD}steps: {value}\n"
    for key in ("name", "description", "icon"):
        for value in ("x", "''", "null", "1", "true", "[x]", "$( config.x )"):
            yield f"{key} {value}", top(f"{key}: {value}")
    for key in ("foo", "Name", "script", "onSuccess", "<<", "input", "''"):
        yield f"unknown top key {key}", top(f"{key}: {{}}")
    for value in ("true", "false", "'true'", "null", "1", "$( true )", "$( 1 )", "x $( true )"):
        yield f"successWhen {value}", top(f"successWhen: {value}")
    for value in ("null", "1", "{a: [$( workflow.id )]}", "$( foo )", "$( steps )", "{a: $( ) }"):
        yield f"onFailed {value}", top(f"onFailed: {value}")
    for value in ("[]", "[{name: a, value: b}]", "[{name: a}]", "[{name: 1, value: b}]", "{}"):
        yield f"labels {value}", top(f"labels: {value}")
    yield "label with another key", top("labels: [{name: a, value: b, c: d}]")
    for value in ("[]", "[any]", "[1]", "any", "null", "[any, other]"):
        yield f"catalog_keys {value}", top(f"catalog_keys: {value}")


def _identity() -> Iterator[tuple[str, str]]:
    for value in ("protocol", "task-script", "null", "Protocol"):
        yield f"type {value}", top(f"type: {value}")
    namespaces = "common client-a private-x private-a-b client-a_b private- client common-x Common"
    for value in (*namespaces.split(), "commonplace", "private-ä", "''", "1", "'x private-a y'"):
        yield f"namespace {value}", top(f"namespace: {value}")
        task = f"task: {{namespace: {value}, slug: s, version: v1.0.0, function: f}}"
        yield f"task namespace {value}", one_step(task=task)
    for value in ("a", "A-b_9", "9a", "-a", "_a", "a.b", "a b", "''", "1", "ä", "a/b", "'1'"):
        yield f"slug {value}", top(f"slug: {value}")
        yield f"step id {value}", f"{HEAD}steps:\n  - id: {value}\n    {TASK}\n"
        task = f"task: {{namespace: common, slug: {value}, version: v1.0.0, function: f}}"
        yield f"task slug {value}", one_step(task=task)
    versions = "v1.0.0 1.0.0 v1.0 v1 v1.0.0-rc.1 v1.0.0-a_b v01.0.0 v1.0.0+b v1.0.0- latest 1.0"
    for value in versions.split():
        yield f"version {value}", top(f"version: {value}")


def _constants() -> Iterator[tuple[str, str]]:
    values = (
        "1",
        "null",
        "text",
        "[1, {a: b}]",
        "$( config.x )",
        "$( workflow.inputFile )",
        "$( protocol.name )",
        "$( constants.b )",
        "$( constants.b.c )",
        "$( constants.b[0] )",
        "$( constants.a )",
        "$( constants )",
        "$( steps )",
        "$( steps.a )",
        "{k: [$( constants.b )]}",
        "$( constants.z )",
        "$( 1 + 1 )",
        "$(  )",
        "$( coalesce )",
    )
    for value in values:
        text = (
            f"name: n\nconfig: {{x: {{label: L, type: string}}}}\nconstants: {{a: {value}, b: 1}}"
        )
        yield f"constant {value}", top(text)
    for key in ("a-b", "9", "_a", "a.b", "'a b'", "''", "a_b", "ä"):
        yield f"constant named {key}", top(f"constants: {{{key}: 1}}")
    for value in ("null", "[]", "x", "{}"):
        yield f"constants {value}", top(f"constants: {value}")
    yield "two constants in a cycle", top("constants: {a: $( constants.b ), b: $( constants.a )}")
    yield "cycle below a key", top("constants: {a: {k: $( constants.b )}, b: [$( constants.a.k )]}")
    yield (
        "constants in any order",
        top("constants: {a: $( constants.b ), b: $( constants.c ), c: 1}"),
    )
    yield (
        "member of a constant",
        one_step("input: $( constants.a.b[0] )", before="constants: {a: {b: [1]}}\n"),
    )
    yield (
        "no such member",
        one_step("input: $( constants.a.c )", before="constants: {a: {b: [1]}}\n"),
    )
    yield (
        "no such item",
        one_step("input: $( constants.a.b[1] )", before="constants: {a: {b: [1]}}\n"),
    )
    yield "constant as condition", one_step("if: $( constants.a )", before="constants: {a: true}\n")
    yield (
        "text constant as condition",
        one_step("if: $( constants.a )", before="constants: {a: x}\n"),
    )


def item(fields: str) -> str:
    return top(f"config: {{x: {{label: L, {fields}}}}}")


def _config() -> Iterator[tuple[str, str]]:
    values = ("text", "1", "1.5", "true", "null", "[1]", "{a: 1}", "''", "0", "false", "yes")
    for kind in ("string", "number", "boolean", "object", "array", "secret", "integer", "String"):
        yield f"config {kind}", item(f"type: {kind}")
        for value in values:
            yield f"config {kind} default {value}", item(f"type: {kind}, default: {value}")
    yield "config default that looks like an expression", item("type: string, default: $( foo )")
    for value in ("true", "false", "null", "yes", "'true'", "1"):
        yield f"config required {value}", item(f"type: string, required: {value}")
    yield "config required with default", item("type: string, required: true, default: a")
    yield "config without label", top("config: {x: {type: string}}")
    yield "config without type", top("config: {x: {label: L}}")
    for value in ("1", "null", "''", "[a]"):
        yield f"config label {value}", top(f"config: {{x: {{label: {value}, type: string}}}}")
        yield f"config description {value}", item(f"type: string, description: {value}")
    for key in ("name", "slug", "Default", "options", "step"):
        yield f"config unknown key {key}", item(f"type: string, {key}: a")
    for key in ("a-b", "9", "_a", "a.b", "'a b'", "''", "ä"):
        yield f"config named {key}", top(f"config: {{{key}: {{label: L, type: string}}}}")
    for value in ("null", "[]", "x", "{}", "{x: null}", "{x: string}", "{x: []}"):
        yield f"config is {value}", top(f"config: {value}")


def _schemas() -> Iterator[tuple[str, str]]:
    schemas = {
        "string": ("{}", "{type: string}", "{type: number}", "{minLength: 2}", "{minLength: -1}"),
        "number": (
            "{type: integer}",
            "{minimum: 3}",
            "{type: number, maximum: 1}",
            "{enum: [1, 2]}",
        ),
        "boolean": ("{const: true}", "{type: boolean}", "{type: [boolean, 'null']}"),
        "object": (
            "{properties: {a: {type: string}}}",
            "{properties: {a: {type: string}}, required: [a]}",
            "{additionalProperties: {type: number}}",
            "{additionalProperties: false}",
            "{type: array}",
            "{properties: []}",
            "{$ref: '#/$defs/x', $defs: {x: {}}}",
            "{allOf: [{}]}",
            "{anyOf: [{type: object}, {type: string}]}",
            "{required: a}",
        ),
        "array": (
            "{items: {type: string}}",
            "{items: {type: string}, minItems: 1}",
            "{prefixItems: [{type: string}], maxItems: 1}",
            "{prefixItems: [{type: string}], items: false}",
            "{type: object}",
            "{minItems: x}",
        ),
        "secret": ("{type: string}", "{}"),
    }
    defaults = {
        "string": ("a", "ab"),
        "number": ("1", "3.5"),
        "boolean": ("true", "false"),
        "object": ("{}", "{a: x}", "{a: 1}", "{b: 1}"),
        "array": ("[]", "[a]", "[1]", "[a, b]"),
        "secret": (),
    }
    for kind, all_schemas in schemas.items():
        for schema in all_schemas:
            yield f"schema {kind} {schema}", item(f"type: {kind}, schema: {schema}")
            for value in defaults[kind]:
                text = item(f"type: {kind}, schema: {schema}, default: {value}")
                yield f"schema {kind} {schema} default {value}", text
    for value in ("null", "true", "[]", "x"):
        yield f"schema is {value}", item(f"type: string, schema: {value}")
    yield from _schema_reads()


def _schema_reads() -> Iterator[tuple[str, str]]:
    read = {
        "known": "config.x.a",
        "optional": "config.x.b",
        "unknown": "config.x.c",
        "item": "config.y[0]",
        "far item": "config.y[7]",
        "length": "config.y.length",
        "deep": "config.x.a.b",
        "rest": "config.z.q",
    }
    before = (
        "config:\n"
        "  x: {label: L, type: object, required: true, schema: {properties: {a: {type: string},"
        " b: {type: boolean}}, required: [a]}}\n"
        "  y: {label: L, type: array, required: true, schema: {items: {type: string}}}\n"
        "  z: {label: L, type: object, required: true,"
        " schema: {additionalProperties: {type: boolean}}}\n"
    )
    for name, expression in read.items():
        yield f"schema read {name}", one_step(f"input: $( {expression} )", before=before)
        yield f"schema read {name} as condition", one_step(f"if: $( {expression} )", before=before)


def _components() -> Iterator[tuple[str, str]]:
    components = (
        "{type: select, options: [{label: A, value: a}]}",
        "{type: select, options: [{label: A, value: 1}]}",
        "{type: select, options: []}",
        "{type: select}",
        "{type: select, options: [{label: A}]}",
        "{type: select, options: [{value: a}]}",
        "{type: select, options: [{label: A, value: a, x: 1}]}",
        "{type: select, options: [{label: A, value: null}]}",
        "{type: multiselect, options: [{label: A, value: a}]}",
        "{type: multiselect, options: {}}",
        "{type: textarea}",
        "{type: textarea, placeholder: p}",
        "{type: textarea, placeholder: 1}",
        "{type: slider, min: 0, max: 9}",
        "{type: slider, min: 0, max: 9, step: 2}",
        "{type: slider, min: 0}",
        "{type: slider, min: '0', max: 9}",
        "{type: checkbox}",
        "{type: checkbox, x: 1}",
        "{type: editor}",
        "{type: editor, language: json}",
        "{type: radio}",
        "{}",
        "null",
        "select",
    )
    for component in components:
        for kind in ("string", "number", "boolean", "object", "array", "secret"):
            text = item(f"type: {kind}, component: {component}")
            yield f"component {kind} {component}", text
    component = "{type: select, options: [{label: A, value: null}]}"
    text = item(f"type: boolean, required: true, component: {component}")
    yield "component null for a required item", text


def _steps() -> Iterator[tuple[str, str]]:
    for key in ("if", "continueOnError"):
        for value in ("true", "false", "null", "'true'", "1", "x", "$( true )", "$( null )", "[]"):
            yield f"{key} {value}", one_step(f"{key}: {value}")
    for value in ("x", "null", "1", "[a]", "$( foo )"):
        yield f"step description {value}", one_step(f"description: {value}")
    for key in ("name", "slug", "type", "If", "inputs", "retry", "task2"):
        yield f"step unknown key {key}", one_step(f"{key}: x")
    yield "step without task", HEAD + "steps:\n  - id: a\n"
    for value in ("null", "x", "[]", "{}"):
        yield f"task {value}", one_step(task=f"task: {value}")
    fields = {"namespace": "common", "slug": "s", "version": "v1.0.0", "function": "f"}
    for missing in fields:
        kept = {key: value for key, value in fields.items() if key != missing}
        yield f"task without {missing}", one_step(task=f"task: {json.dumps(kept)}")
        for value in (None, 1, [], "$( config.x )", ""):
            task = json.dumps({**fields, missing: value})
            yield f"task where {missing} is {value!r}", one_step(task=f"task: {task}")
    yield "task with another key", one_step(task=f"task: {json.dumps({**fields, 'type': 'x'})}")
    yield "step without id", f"{HEAD}steps:\n  - {TASK}\n"
    yield "two steps without id", f"{HEAD}steps:\n  - {TASK}\n  - {TASK}\n"
    yield "same id twice", f"{HEAD}steps:\n  - id: a\n    {TASK}\n  - id: a\n    {TASK}\n"
    for value in ("null", "1", "[]", "{a: {b: [$( workflow.id )]}}", "{$( foo ): 1}", "$( foo )"):
        yield f"input {value}", one_step(f"input: {value}")


def _versions() -> Iterator[tuple[str, str]]:
    versions = (
        "1.2.3|=1.2.3|1.0|1|v1|*|x|X|latest|^1.2.0|^0.2.3|^0|~1.2|~>1.2|~ 1.2.3|>=1 <2|>= 1.0 < 2|"
        "1.2.3 - 2.0.0|1.2 - 2|1.x|1.*|1.2.x|1.2.3 \\|\\| 2.0.0|\\|\\||1.2.3-rc.1|v1.2.3-rc.1|"
        "v1.2.3-alpha_1|v1.2.3-01|v1.2.3+build|vv1.2.3|V1.2.3|01.2.3| 1.2.3 |>*|^|~|>=|^*|1.2.3.4|"
        "1..2|a.b.c|1.2.3-|9007199254740991.0.0|9007199254740992.0.0|1.2.3 4.5.6|^1.2.3-beta.2|"
        "1.2.3 -2.0.0|v1.x|v^1.2|^v1.2.3|>=v1|= 1.2.3|==1.2.3|>==1|=>1|!1|1.2.x-beta|*.1.2|1.x.3|"
        "v 1.2.3|1 .2|v0.0.0|1.2.3 - |- 1.2.3|latest \\|\\| 1|~1 - 2|v1.2.3-rc.01"
    )
    for version in versions.replace("\\|", "\0").split("|"):
        text = version.replace("\0", "|")
        task = json.dumps({"namespace": "common", "slug": "s", "version": text, "function": "f"})
        yield f"task version {text!r}", one_step(task=f"task: {task}")


def _options() -> Iterator[tuple[str, str]]:
    before = "config: {n: {label: L, type: number, required: true}, o: {label: L, type: number}}\n"
    values = ("1", "-1", "1.5", "'1'", "true", "null", "$( config.n )", "$( config.o )", "$( 'x' )")
    options = ("memoryInMB", "timeoutInSec", "runInLambda", "customWindowsAMI", "timeontInSec")
    for option in (*options, "memoryInMb", "retries"):
        for value in (*values, "x", "$( true )", "$( steps )", "$( foo )"):
            text = one_step(f"options: {{{option}: {value}}}", before=before)
            yield f"option {option} {value}", text
    for value in ("null", "{}", "[]", "x"):
        yield f"options {value}", one_step(f"options: {value}")
    yield "option from an earlier step", two_steps("options: {memoryInMB: $( steps.a.output.m )}")
    yield "option from its own step", one_step("options: {memoryInMB: $( steps.a.output )}")


def _references() -> Iterator[tuple[str, str]]:
    roots = (
        "steps.a.output",
        "steps['a'].isFailed",
        "steps['b-2'].isFailed",
        "steps.b.isFailed",
        "steps[0].isFailed",
        "steps[1].isFailed",
        "steps[2].isFailed",
        "steps[0.5].isFailed",
        "steps.length",
        "steps",
        "steps.a",
        "steps.a.foo",
        "steps.a.status",
        "steps.a.error",
        "steps.a.isSkipped",
    )
    for root in roots:
        for key in ("if", "input", "continueOnError"):
            yield f"second step {key} {root}", two_steps(f"{key}: $( {root} )")
            yield f"only step {key} {root}", one_step(f"{key}: $( {root} )")
        for key in ("successWhen", "onFailed"):
            yield f"{key} reads {root}", two_steps(after=f"{key}: $( {root} )\n")
    yield "step reads a later one", two_steps(first=("input: $( steps['b-2'].output )",))
    yield "never runs", two_steps("if: $( steps.a.isFailed )")
    yield "may fail", two_steps("if: $( steps.a.isFailed )", first=("continueOnError: true",))


def _triggers() -> Iterator[tuple[str, str]]:
    types = ("file", "scheduled", "[file]", "[scheduled]", "[file, scheduled]", "[scheduled, file]")
    reads = ("workflow", "workflow.inputFile", "workflow.inputFile.fileKey", "workflow.id")
    more = ("isNull(workflow.inputFile)", "workflow.inputFile.type", "workflow.inputFile.meta.a.b")
    for kind in types:
        before = f"constraints: {{trigger: {{type: {kind}}}}}\n"
        for read in (*reads, *more):
            yield f"trigger {kind} reads {read}", one_step(f"input: $( {read} )", before=before)
    for value in ("null", "[]", "{}", "{trigger: null}", "{trigger: {}}", "{trigger: {type: []}}"):
        yield f"constraints {value}", top(f"constraints: {value}")
    for value in ("null", "upload", "[file, upload]", "[file, file]", "File", "[[file]]"):
        yield f"trigger type {value}", top(f"constraints: {{trigger: {{type: {value}}}}}")
    yield "constraint with another key", top("constraints: {foo: 1, trigger: {bar: 1}}")


def _types() -> Iterator[tuple[str, str]]:
    before = (
        "name: n\n"
        "config:\n"
        "  s: {label: L, type: string, required: true}\n"
        "  os: {label: L, type: string}\n"
        "  b: {label: L, type: boolean, required: true}\n"
        "  ob: {label: L, type: boolean}\n"
        "  db: {label: L, type: boolean, default: false}\n"
        "  o: {label: L, type: object}\n"
        "  l: {label: L, type: array, required: true}\n"
        "  k: {label: L, type: secret, required: true}\n"
    )
    expressions = (
        "config.b|config.ob|config.db|config.s|config.o|config.o.x.y|config.l[0]|config.k|config|"
        "coalesce(config.ob, true)|coalesce(config.ob, null)|coalesce(config.os, config.b)|"
        "coalesce()|isNull(config.ob)|not(config.ob)|not(config.b)|and(config.b, config.ob)|"
        "or(config.b, 1)|"
        "and(config.o)|not(steps)|isString(steps)|isNumber(config.missing)|config.s.length|config[0]|"
        "config['s']|config.k.secret|workflow.startedAt|workflow.pipeline.id|workflow.pipeline.name|"
        "workflow.foo|protocol.name|protocol.nope|protocol.steps[0].id|protocol.config.s.label|"
        "protocol.steps[0].task.version|constants|constants.x|null|true|'a'|1|and()|or()|not(true)|"
        "isBoolean(and)|coalesce|not(not(config.b))|coalesce(config.o, 'x')|toString|"
        "config.toString"
    )
    for expression in expressions.split("|"):
        for key in ("if", "input"):
            text = one_step(f"{key}: $( {expression} )", before=before)
            yield f"{key} of type {expression}", text


def _yaml() -> Iterator[tuple[str, str]]:
    for value in (
        "yes|no|on|off|~|Null|0o17|0x1F|014|1_000|1e3|.5|.inf|.nan|2020-01-01|12:30|'x'|\"x\"|-|+1|"
        "!!str 5|!!int 5|!!int x|!!float 1|!!bool true|!!null ''|!foo x|!!binary aGk=|!!set {a, b}|"
        "!!timestamp 2020-01-01|! x|&a x|*a|{a: 1, a: 2}|{1: a, '1': b}|{1: a}|{1.5: a}|{true: a}|"
        "{~: a}|{[a]: b}|{? a : b}|{a, b}|[a, b,]|[a,,b]|[a, , b]|{a: 1,}|{a: 1|[a|a: b|@x|`x`|%x|"
        'x # comment|x#y|\'a\'\'b\'|"a\\nb"|"\\q"|"\\/"|\'a|"a|{<<: {a: 1}, b: 2}|{url: http://x}|'
        '[http://x]|{a:1}|{"a":1}|- x|? x|- - x|!!map {a: 1}|!!seq [a]|!!omap [a: 1]|1e999|'
        '999999999999999999999999|-0|\'\\u0041\'|"\\u0041"|"\\ud83d"|a\\nb|{a: {a: 1}, b: {a: 2}}'
    ).split("|"):
        yield f"YAML value {value}", one_step(f"input: {value}")
    yield from _yaml_documents()


def _yaml_documents() -> Iterator[tuple[str, str]]:
    minimal = HEAD + "steps: []\n"
    yield "YAML empty", ""
    yield "YAML only a comment", "# nothing\n"
    yield "YAML null", "null\n"
    yield "YAML list", "- protocolSchema: v3\n"
    yield "YAML text", "protocol\n"
    yield "YAML start and end", f"---\n{minimal}...\n"
    yield "YAML two documents", f"{minimal}---\n{minimal}"
    yield "YAML directive", f"%YAML 1.2\n---\n{minimal}"
    yield "YAML directive 1.1", f"%YAML 1.1\n---\n{HEAD}successWhen: yes\nsteps: []\n"
    yield "YAML byte order mark", "\ufeff" + minimal
    yield "YAML carriage returns", minimal.replace("\n", "\r\n")
    yield "YAML tab as indent", f"{HEAD}steps:\n\t- id: a\n"
    yield "YAML tab before a comment", f"{HEAD}steps: []\t# none\n"
    yield "YAML tab after a dash", f"{HEAD}steps:\n  -\tid: a\n    {TASK}\n"
    yield "YAML tab after a colon", f"{HEAD}name:\tx\nsteps: []\n"
    yield "YAML same key twice", minimal + "steps: []\n"
    yield "YAML same key twice inside", one_step("input: {a: {b: 1, b: 2}}")
    yield "YAML quoted keys", "\"protocolSchema\": v3\n'steps': []\n"
    yield "YAML as JSON", json.dumps({"protocolSchema": "v3", "steps": []})
    yield "YAML list not indented", f"{HEAD}steps:\n- id: a\n  {TASK}\n"
    yield "YAML literal block", one_step("input: |", "  $( workflow.id )")
    yield "YAML literal block with text", one_step("input: |", "  x $( workflow.id )")
    yield "YAML folded block", one_step("input: >-", "  $(", "  workflow.id )")
    yield "YAML folded block with a fault", one_step("input: >-", "  $(", "  workflow.foo )")
    yield "YAML plain on two lines", one_step("input: $( workflow", "  .id )")
    yield "YAML quotes on two lines", one_step('input: "$( workflow', '  .id )"')
    yield "YAML plain with a comment mark", one_step("input: $( workflow.id # x )")
    yield "YAML plain with a colon", one_step("input: $( a ? b : c )")
    yield "YAML anchor", one_step("input: {a: &x $( workflow.id ), b: *x}")
    yield "YAML anchor of a task", f"{HEAD}steps:\n  - &a\n    {TASK}\n  - *a\n"
    yield "YAML anchor with an id", f"{HEAD}steps:\n  - &a\n    id: i\n    {TASK}\n  - *a\n"
    yield "YAML unknown alias", one_step("input: *nope")
    yield "YAML recursive alias", one_step("input: &a [*a]")
    aliases = ", ".join(["*x"] * 100)
    yield "YAML a hundred aliases", one_step(f"input: [&x 1, {aliases}]")
    yield "YAML more aliases", one_step(f"input: [&x 1, {aliases}, *x]")
    yield "YAML merge key in a step", f"{HEAD}steps:\n  - <<: {{id: a}}\n    {TASK}\n"
    yield "YAML nested fifty deep", one_step(f"input: {'[' * 50}{']' * 50}")
    yield "YAML nested a hundred deep", one_step(f"input: {'[' * 100}{']' * 100}")
    yield "YAML comment right behind quotes", one_step("input: 'a'#b")
    yield "YAML comment right behind a bracket", one_step("input: [a]#b")
    yield "YAML comment right behind a block's sign", one_step("input: |#b", "  a")
    yield "YAML comment behind a block's sign", one_step("input: |- #b", "  a")
    yield "YAML next line character", one_step("input: a\x85b: c\x85")
    yield "YAML line separator", one_step("input: a\u2028b: c\u2028", "description: \u2029")
    yield "YAML empty key", one_step("input:", "  : a")
    yield "YAML line of spaces and a tab", one_step("input:", "  \t", "  a: 1")
    yield "YAML tag before an expression", one_step("input: !$( workflow.id )")
    yield "YAML unclosed", f"{HEAD}steps: [\n"
    yield "YAML wrong indent", f"{HEAD} steps: []\n"
    yield "YAML control character", f"{HEAD}name: a\x01b\nsteps: []\n"
    yield "YAML letters of any script", f"{HEAD}name: äöü 日本 😀\nsteps: []\n"


def _conformance() -> Iterator[tuple[str, str]]:
    """The expressions of the conformance table, each as a step's input."""
    table = json.loads(Path(__file__).with_name("expressions.json").read_text(encoding="utf-8"))
    before = "config: {name: {label: L, type: string}, count: {label: L, type: number},"
    for key in ("flag", "nothing", "list", "map", "empty", "s", "o"):
        before += f" {key}: {{label: L, type: object}},"
    before += "}\nconstants: {limit: 10, flag: false, list: [a, b]}\n"
    for row in table["rows"]:
        if "expression" in row:
            yield (
                f"expression: {row['name']}",
                one_step(f"input: {quoted(row['expression'])}", before=before),
            )


def quoted(text: str) -> str:
    """A text as YAML in double quotes."""
    special = {char: f"\\u{ord(char):04x}" for char in "\u2028\u2029\u00a0\ufeff\x85"}
    return json.dumps(text, ensure_ascii=False).translate(str.maketrans(special))


def _random() -> Iterator[tuple[str, str]]:
    for seed in range(RANDOM_CASES):
        chance = random.Random(seed)
        document = _Maker(chance).document()
        for _ in range(chance.choice((0, 0, 1, 1, 2))):
            _break(document, chance)
        yield f"random {seed}", json.dumps(document, indent=1)


class _Maker:
    """Makes protocols that are valid, but for rare references to what is not there."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.config: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.ids: list[str] = []

    def document(self) -> dict[str, Any]:
        for index in range(self.chance.randint(0, 4)):
            self.config[f"c{index}"] = self.item()
        for index in range(self.chance.randint(0, 3)):
            self.constants[f"k-{index}"] = self.value(2)
        made: dict[str, Any] = {"protocolSchema": "v3", "steps": []}
        if self.config:
            made["config"] = self.config
        if self.constants:
            made["constants"] = self.constants
        for index in range(self.chance.randint(1, 4)):
            made["steps"].append(self.step(index))
        if self.chance.random() < 0.4:
            made["successWhen"] = self.condition()
        if self.chance.random() < 0.4:
            made["onFailed"] = self.value(2)
        return made

    def item(self) -> dict[str, Any]:
        kind = self.chance.choice(("string", "number", "boolean", "object", "array", "secret"))
        made: dict[str, Any] = {"label": "L", "type": kind}
        if self.chance.random() < 0.4:
            made["required"] = self.chance.random() < 0.7
        examples = {"string": "a", "number": 2, "boolean": True, "object": {"a": 1}, "array": [1]}
        if kind in examples and self.chance.random() < 0.4:
            made["default"] = examples[kind]
        return made

    def step(self, index: int) -> dict[str, Any]:
        task = {"namespace": "common", "slug": "s", "version": "v1.0.0", "function": "f"}
        made: dict[str, Any] = {"task": task}
        if self.chance.random() < 0.7:
            made["if"] = self.condition()
        if self.chance.random() < 0.8:
            made["input"] = self.value(3)
        if self.chance.random() < 0.3:
            made["options"] = {"memoryInMB": self.chance.choice((512, "$( config.c1 )"))}
        if self.chance.random() < 0.8:
            made["id"] = f"s{index}" if self.chance.random() < 0.8 else f"s-{index}"
            self.ids.append(made["id"])
        if self.chance.random() < 0.3:
            made["continueOnError"] = self.condition()
        return made

    def value(self, depth: int) -> Any:
        kind = self.chance.randint(0, 5 if depth else 3)
        if kind == 4:
            return [self.value(depth - 1) for _ in range(self.chance.randint(0, 3))]
        if kind == 5:
            return {f"m{i}": self.value(depth - 1) for i in range(self.chance.randint(0, 3))}
        return self.expression() if kind else self.chance.choice((1, "text", None, True, "$$( x )"))

    def condition(self) -> Any:
        return self.chance.choice((True, False, self.expression(), self.expression()))

    def expression(self) -> str:
        return f"$( {self.operand(2)} )"

    def operand(self, depth: int) -> str:
        if depth and self.chance.random() < 0.4:
            names = ("and", "or", "not", "coalesce", "isNull", "isBoolean")
            count = self.chance.choice((0, 1, 1, 2))
            inner = ", ".join(self.operand(depth - 1) for _ in range(count))
            return f"{self.chance.choice(names)}({inner})"
        return self.chance.choice((self.reference, self.reference, self.literal))()

    def literal(self) -> str:
        return self.chance.choice(("true", "false", "null", "1", "-2", "'t'"))

    def reference(self) -> str:
        known = [f"config.{key}" for key in self.config]
        known += [f"constants['{key}']" for key in self.constants]
        members = ("output", "output.a", "isSuccess", "isFailed", "error", "status")
        known += [f"steps['{name}'].{self.chance.choice(members)}" for name in self.ids]
        known += ["workflow.id", "workflow.inputFile", "workflow.inputFile.meta.x", "protocol"]
        return self.chance.choice(known) + self.chance.choice(("",) * 6 + (".x", "[0]"))


def _break(document: dict[str, Any], chance: random.Random) -> None:
    """Change one thing somewhere."""
    parts = [document, *document["steps"], *document.get("config", {}).values()]
    part = chance.choice(parts)
    key = chance.choice(sorted(part))
    change = chance.randint(0, 5)
    if change == 0:
        del part[key]
        document.setdefault("steps", [])
    elif change == 1:
        part["unknown"] = 1
    elif change == 2 and key != "steps":
        part[key] = chance.choice((None, 1, "text", [], {}, True, "$( config.c0 )"))
    elif change == 3 and document["steps"]:
        step = chance.choice(document["steps"])
        step["input"] = "$( " + chance.choice(("a b", "config.zz", "steps.zz", "1 +", "f()")) + " )"
    elif change == 4 and len(document["steps"]) > 1:
        document["steps"].reverse()
    elif change == 5 and document["steps"]:
        chance.choice(document["steps"])["id"] = chance.choice(("s0", "s1", "a b", "x"))
