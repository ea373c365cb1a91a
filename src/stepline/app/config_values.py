"""Config values and secrets as a person gives them, checked against the protocol."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from stepline.errors import ConfigError, Location, Problem
from stepline.expressions.suggest import nearest_of_all
from stepline.frozen import frozen
from stepline.model.protocol import ConfigItem, ConfigType, Protocol
from stepline.model.values import Json

_JSON_TYPES: dict[ConfigType, type] = {ConfigType.OBJECT: dict, ConfigType.ARRAY: list}
_SHOWN_TEXT = 60


def parse_values(texts: Mapping[str, str], protocol: Protocol, *, path: str) -> dict[str, Json]:
    """Return typed values for the texts that were given by config key.

    Args:
        texts: For a string the value itself; for other types its JSON.
        protocol: The protocol that declares the keys.
        path: Where the protocol is from, for messages.

    Raises:
        ConfigError: A key is unknown, is a secret, or a text is not of its type.
    """
    values: dict[str, Json] = {}
    problems: list[Problem] = []
    for key, text in texts.items():
        item = protocol.config.get(key)
        if item is None:
            problems.append(_unknown_key(key, protocol, path))
        elif item.type is ConfigType.SECRET:
            problems.append(
                _problem(
                    "secret-as-value",
                    f"config '{key}' ({item.label}) is a secret",
                    path,
                    hint=f"give it by --secret {key}=env:VARIABLE, file:PATH or prompt",
                    key=key,
                )
            )
        else:
            try:
                values[key] = _typed(text, item)
            except ValueError as error:
                problems.append(_wrong_type(text, item, path=path, reason=str(error)))
    _raise_if(problems)
    return values


def read_values(
    texts: Mapping[str, str], protocol: Protocol, *, secrets: Iterable[str], path: str
) -> dict[str, Json]:
    """Return typed values, after all checks of values and secrets.

    Args:
        texts: For a string the value itself; for other types its JSON.
        protocol: The protocol that declares the keys.
        secrets: Keys for which a secret is given.
        path: Where the protocol is from, for messages.

    Raises:
        ConfigError: All that is wrong, missing or unknown.
    """
    values: dict[str, Json] = {}
    problems: list[Problem] = []
    try:
        values = parse_values(texts, protocol, path=path)
    except ConfigError as error:
        problems += error.problems
    try:
        # What is there and wrong is not missing too.
        check_values(protocol, {**texts, **values}, secrets=secrets, path=path)
    except ConfigError as error:
        problems += error.problems
    _raise_if(problems)
    return values


@frozen
class Ways:
    """How a person gives values, for hints.

    Attributes:
        value: With ``{key}``: gives a value.
        secret: With ``{key}``: gives a secret.
    """

    value: str = "give it by --config {key}=VALUE"
    secret: str = "give it by --secret {key}=env:VARIABLE"


OF_PIPELINES = Ways(
    value="set {key} in the pipeline's config",
    secret="set {key}: {{secret: NAME}} in the pipeline's config",
)


def plain_value_problems(
    protocol: Protocol,
    values: Mapping[str, Json],
    *,
    secrets: Collection[str],
    unresolved: Collection[str],
    path: str,
) -> list[Problem]:
    """Return what is wrong with a pipeline's values: keys, types, what is required and missing.

    Args:
        protocol: The protocol that declares the keys.
        values: Plain values by config key.
        secrets: Keys for which a secret is given.
        unresolved: Keys for which something is given that has no value.
        path: Where the values are from, for messages.
    """
    problems: list[Problem] = []
    for key in dict.fromkeys((*values, *secrets, *unresolved)):
        item = protocol.config.get(key)
        if item is None:
            problems.append(_unknown_key(key, protocol, path))
        elif key in values:
            problems += _unfit(values[key], item, path)
    told = {key: item for key, item in protocol.config.items() if key not in unresolved}
    return problems + _lacking(told, values, secrets=secrets, path=path, ways=OF_PIPELINES)


def _unfit(value: Json, item: ConfigItem, path: str) -> Iterator[Problem]:
    """Yield why a plain value is none of a config item."""
    named = f"config '{item.key}' ({item.label})"
    if item.type is ConfigType.SECRET:
        hint = OF_PIPELINES.secret.format(key=item.key)
        message = f"{named} is a secret, not a plain value"
        yield _problem("secret-as-value", message, path, hint=hint, key=item.key)
    elif value is not None and not _fits(value, item.type):
        message = f"{named} must be of type {item.type.value}"
        yield _problem("wrong-type", message, path, hint=f"it is {value!r:.60}", key=item.key)


def _fits(value: Json, kind: ConfigType) -> bool:
    if kind is ConfigType.NUMBER:
        return _is_number(value)
    expected = {ConfigType.STRING: str, ConfigType.BOOLEAN: bool, **_JSON_TYPES}.get(kind)
    return expected is not None and isinstance(value, expected)


def check_values(
    protocol: Protocol,
    values: Mapping[str, Json],
    *,
    secrets: Iterable[str],
    path: str,
) -> None:
    """Refuse to start with a required value or secret missing, or with an unknown one.

    Raises:
        ConfigError: Every missing or unknown key, with its label.
    """
    strangers = sorted(set(secrets) - set(protocol.config))
    problems = [_unknown_key(key, protocol, path) for key in strangers]
    problems += _lacking(protocol.config, values, secrets=secrets, path=path, ways=Ways())
    _raise_if(problems)


def _lacking(
    config: Mapping[str, ConfigItem],
    values: Mapping[str, Json],
    *,
    secrets: Iterable[str],
    path: str,
    ways: Ways,
) -> list[Problem]:
    given = set(secrets)
    problems = []
    for key, item in config.items():
        is_secret = item.type is ConfigType.SECRET
        if key in given and not is_secret:
            problems.append(
                _problem(
                    "value-as-secret",
                    f"config '{key}' ({item.label}) is not a secret",
                    path,
                    hint=ways.value.format(key=key),
                    key=key,
                )
            )
        missing = key not in given if is_secret else values.get(key) is None
        if item.required and missing:
            way = ways.secret if is_secret else ways.value
            problems.append(
                _problem(
                    "missing-value",
                    f"config '{key}' ({item.label}) is required",
                    path,
                    hint=way.format(key=key),
                    key=key,
                )
            )
    return problems


def _typed(text: str, item: ConfigItem) -> Json:
    """Return the value that a text stands for.

    Raises:
        ValueError: It is not of the item's type; says why where it is not even JSON.
    """
    if item.type is ConfigType.STRING:
        return text
    from stepline.parsing.json_tree import parse_json

    document = parse_json(text, path=item.key)
    for problem in document.problems:
        raise ValueError(f"at column {problem.where.column}: {problem.message}")
    value = document.root.plain() if document.root else None
    if item.type is ConfigType.BOOLEAN and isinstance(value, bool):
        return value
    if item.type is ConfigType.NUMBER and _is_number(value):
        return value
    expected = _JSON_TYPES.get(item.type)
    if expected is None or not isinstance(value, expected):
        raise ValueError
    return value


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_type(text: str, item: ConfigItem, *, path: str, reason: str) -> Problem:
    examples = {
        ConfigType.NUMBER: "a number, such as 3.5",
        ConfigType.BOOLEAN: "true or false",
        ConfigType.OBJECT: 'a JSON object, such as {"a": 1}',
        ConfigType.ARRAY: "a JSON array, such as [1, 2]",
    }
    given = text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"
    message = f"config '{item.key}' ({item.label}) must be of type {item.type.value}, not {given!r}"
    if reason and item.type in _JSON_TYPES:
        message = f"{message}; {reason}"
    hint = f"give {examples[item.type]}"
    return _problem("wrong-type", message, path, hint=hint, key=item.key)


def _unknown_key(key: str, protocol: Protocol, path: str) -> Problem:
    hint = nearest_of_all(key, protocol.config, those="it has:")
    message = f"the protocol has no config key '{key}'"
    return _problem("unknown-config", message, path, hint=hint, key=key)


def _problem(code: str, message: str, path: str, *, hint: str, key: str) -> Problem:
    from stepline.parsing.checker import join

    return Problem(code, message, Location(path), hint=hint, source=join("config", key))


def _raise_if(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError.of(problems)
