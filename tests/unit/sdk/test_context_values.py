"""Attributes of a Context, and what it makes of the platform's refusals."""

import copy
import inspect
import pickle

import pytest

from stepline_sdk.context import Context
from stepline_sdk.context.base import snake_case
from stepline_sdk.errors import (
    CallError,
    ConcurrentModificationError,
    NoAllowedIdsSpecified,
    PlatformError,
)
from tests.support.contexts import IDS, references


def bare(channel=None, **values):
    values.setdefault("pipelineConfig", {})
    return Context(values, channel=channel, scratch_dir="/s", tmp_dir="/t")


class Refusing:
    """A channel on which every call fails."""

    def __init__(self, error):
        self.error = error

    def call(self, method, params):
        raise self.error


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("orgSlug", "org_slug"),
        ("platformApiUrl", "platform_api_url"),
        ("taskScript", "task_script"),
        ("plain", "plain"),
        ("ABc", "a_bc"),
    ],
)
def test_snake_case(key, name):
    assert snake_case(key) == name


def test_context_every_value_is_an_attribute():
    context = bare(orgSlug="o", somethingNew={"a": 1}, inputFile=None)
    assert (context.org_slug, context.something_new, context.input_file) == ("o", {"a": 1}, None)


def test_context_protocol_names_are_those_of_the_master_script():
    context = bare(masterScriptSlug="push", masterScriptVersion="v1")
    assert (context.protocol_slug, context.protocol_version) == ("push", "v1")
    assert bare(masterScriptSlug="a", protocolSlug="b").protocol_slug == "b"


def test_context_defaults():
    context = bare()
    assert context.include_prereleases is False
    assert context.tmp_dir == "/t"


def test_context_value_does_not_hide_a_method():
    context = bare(readFile="x", tmpDir="/elsewhere", allowedIds=[])
    assert callable(context.read_file)
    assert context.tmp_dir == "/t"


@pytest.mark.parametrize("config", [None, [], "text"], ids=repr)
def test_context_pipeline_config_must_be_an_object(config):
    with pytest.raises(ValueError, match="pipelineConfig must be an object"):
        bare(pipelineConfig=config)


def test_context_missing_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match="'workflow'; did you mean workflow_id"):
        bare(workflowId="w").workflow  # noqa: B018


def test_context_missing_attribute_with_nothing_near():
    with pytest.raises(AttributeError, match=r"no attribute 'zzzzzz'$"):
        bare().zzzzzz  # noqa: B018


def test_context_missing_attribute_can_be_asked_for():
    assert not hasattr(bare(), "pipeline_name")
    assert getattr(bare(), "pipeline_name", 5) == 5


def test_context_survives_copying_and_pickling():
    context = bare(orgSlug="o")
    assert copy.copy(context).org_slug == "o"
    assert pickle.loads(pickle.dumps(context)).org_slug == "o"


def test_allowed_ids_unspecified_is_an_error(world):
    with pytest.raises(NoAllowedIdsSpecified, match="allowedIds"):
        world.attempt().context.allowed_ids  # noqa: B018


@pytest.mark.parametrize("names", [[], [IDS], [IDS, "common/x:v2"]], ids=len)
def test_allowed_ids_are_those_of_config_json(world, names):
    allowed = world.attempt(allowed_ids=references(*names)).context.allowed_ids
    assert [str(ids) for ids in allowed.allowed_ids] == names
    assert allowed.is_single() is (len(names) == 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ValueError", ValueError),
        ("KeyError", KeyError),
        ("ConcurrentModificationError", ConcurrentModificationError),
        ("PlatformError", PlatformError),
        ("SomethingNewer", PlatformError),
        ("SystemExit", PlatformError),
    ],
)
def test_refused_call_raises_the_public_exception(kind, expected):
    context = bare(Refusing(CallError(kind, "no such thing")))
    with pytest.raises(expected, match="no such thing") as caught:
        context.get_file_info("x")
    assert type(caught.value) is expected
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


SIGNATURES = {
    "read_file": "file, form='body'",
    "write_file": "content, file_name, file_category, ids=None, custom_metadata=None,"
    " custom_tags=(), source_type=None, labels=(), gzip_compress_level=5, if_match=None,"
    " if_none_match=None",
    "write_detached_file": "content, file_name, file_category, ids=None, custom_metadata=None,"
    " custom_tags=(), source_type='pipeline', source_name=None, source_id=None, labels=(),"
    " gzip_compress_level=5, if_match=None, if_none_match=None",
    "write_ids": "content_obj, file_suffix, ids=None, custom_metadata=None, custom_tags=(),"
    " source_type=None, file_category='IDS', labels=(), gzip_compress_level=5, if_match=None,"
    " if_none_match=None",
    "get_file_name": "file",
    "get_file_id": "file",
    "get_file_info": "file_id",
    "get_file_pointer": "file_id",
    "get_file_permalink": "file",
    "get_presigned_url": "file, ttl_sec=300",
    "update_metadata_tags": "file, custom_meta=None, custom_tags=(), options={}",
    "add_labels": "file, labels, no_propagate=False",
    "get_labels": "file",
    "delete_labels": "file, label_ids, no_propagate=False",
    "add_attributes": "file, custom_meta=None, custom_tags=(), labels=()",
    "get_ids": "namespace, slug, version",
    "get_schema_artifact": "namespace, slug, version",
    "validate_ids": "data, namespace=None, slug=None, version=None, ignore_allowed_ids=False",
    "resolve_secret": "secret",
    "find_secrets": "path",
    "get_secret_config_value": "secret_name, silent_on_error=True",
    "search_eql": "payload, returns='raw', query=None",
    "run_cmd": "target_id, action, metadata, payload, ttl_sec=300, initial_delay_sec=0,"
    " return_command=False",
    "run_command": "org_slug, target_id, action, metadata, payload, ttl_sec=300,"
    " initial_delay_sec=0, return_command=False",
    "raise_fatal_error": "message='No message'",
    "enable_experiment": "name",
    "is_experiment_enabled": "name",
    "get_logger": "",
}


@pytest.mark.parametrize("method", SIGNATURES)
def test_context_signature_is_the_published_one(method):
    parameters = list(inspect.signature(getattr(Context, method)).parameters.values())[1:]
    plain = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    assert ", ".join(str(parameter) for parameter in plain) == SIGNATURES[method]


def test_context_has_no_other_public_method():
    methods = {name for name in dir(Context) if callable(getattr(Context, name))}
    public = {name for name in methods if not name.startswith("_")}
    assert public - {"ConcurrentModificationError"} == set(SIGNATURES)
