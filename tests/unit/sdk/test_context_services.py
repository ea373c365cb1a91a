"""Secrets, searches, commands and the way out, with the platform's real end."""

import json

import pytest

from stepline_sdk.errors import FatalError, NotAvailableError

REFERENCE = {"ssm": "/local/local/org-secrets/api-key", "secret": True}


def test_resolve_secret_asks_the_platform(world):
    world.secrets[REFERENCE["ssm"]] = "s3cret"
    attempt = world.attempt()
    assert attempt.context.resolve_secret(REFERENCE) == "s3cret"
    assert attempt.context.resolve_secret({"ssm": REFERENCE["ssm"]}) == "s3cret"


def test_resolve_secret_records_name_and_version_but_no_value(world):
    world.secrets[REFERENCE["ssm"]] = "s3cret"
    attempt = world.attempt()
    attempt.context.resolve_secret(REFERENCE)
    entries = attempt.scope.reads.entries
    assert entries == [{"kind": "secret", "name": REFERENCE["ssm"], "version": "7"}]


@pytest.mark.parametrize("secret", ["plain", None, 5, {}, {"secret": True}, ["ssm"]], ids=repr)
def test_resolve_secret_anything_else_is_returned_unchanged(context, secret):
    assert context.resolve_secret(secret) is secret


def test_resolve_secret_missing_is_none_with_a_line_in_the_log(context, capsys):
    assert context.resolve_secret(REFERENCE) is None
    assert json.loads(capsys.readouterr().out)["message"] == f"no secret '{REFERENCE['ssm']}'"


def test_resolve_secret_missing_is_taken_from_the_environment(context, monkeypatch):
    monkeypatch.setenv("SECRET_api_key", "from the environment")
    assert context.resolve_secret(REFERENCE) == "from the environment"


def test_resolve_secret_of_the_configuration_comes_first(world):
    world.secrets[REFERENCE["ssm"]] = "platform"
    config = {f"_resolved_:{REFERENCE['ssm']}": "configuration"}
    assert world.attempt({"pipelineConfig": config}).context.resolve_secret(REFERENCE) == (
        "configuration"
    )


def test_resolve_secret_name_that_is_no_text_is_refused(context):
    with pytest.raises(TypeError, match="name of a secret is text"):
        context.resolve_secret({"ssm": 5})


@pytest.mark.parametrize("name", ["key", "ts_secret_name_key"])
def test_get_secret_config_value_follows_the_configuration(world, name):
    world.secrets["/a/b/org-secrets/key"] = "value"
    config = {"ts_secret_name_key": {"ssm": "/a/b/org-secrets/key"}}
    context = world.attempt({"pipelineConfig": config}).context
    assert context.get_secret_config_value(name) == "value"


def test_get_secret_config_value_plain_name_is_the_reference(world):
    world.secrets["vault-key"] = "value"
    context = world.attempt({"pipelineConfig": {"ts_secret_name_key": "vault-key"}}).context
    assert context.get_secret_config_value("key") == "value"


def test_get_secret_config_value_resolved_in_the_configuration(world):
    context = world.attempt({"pipelineConfig": {"_resolved_:key": "value"}}).context
    assert context.get_secret_config_value("key") == "value"


def test_get_secret_config_value_of_a_container_environment(world, monkeypatch):
    monkeypatch.setenv("TS_SECRET_my_key", "value")
    context = world.attempt({"pipelineConfig": {"ts_secret_name_my-key": "x"}}).context
    assert context.get_secret_config_value("my-key") == ""
    monkeypatch.setenv("TASK_SCRIPTS_CONTAINERS_MODE", "ecs")
    assert context.get_secret_config_value("my-key") == "value"


@pytest.mark.parametrize("config", [{}, {"ts_secret_name_key": "gone"}], ids=["unset", "gone"])
def test_get_secret_config_value_missing(world, config, capsys):
    context = world.attempt({"pipelineConfig": config}).context
    assert context.get_secret_config_value("key") == ""
    assert "no secret for the config key ts_secret_name_key" in capsys.readouterr().out
    with pytest.raises(Exception, match="ts_secret_name_key"):
        context.get_secret_config_value("key", silent_on_error=False)


QUERY = {"query": {"term": {"category": {"value": "PROCESSED"}}}}


def test_search_eql_raw_answer_sees_what_the_attempt_wrote(attempt):
    pointer = attempt.context.write_file("x", "o", "PROCESSED")
    answer = attempt.context.search_eql(QUERY)
    assert [hit["_source"]["fileId"] for hit in answer["hits"]["hits"]] == [pointer["fileId"]]


def test_search_eql_file_pointers_can_be_read(attempt):
    pointer = attempt.context.write_file("x", "o", "PROCESSED")
    found = attempt.context.search_eql(QUERY, returns="filePointers")
    assert found == [pointer]
    assert attempt.context.read_file(found[0])["body"] == b"x"


def test_search_eql_sees_newest_versions_and_changed_labels_only(attempt):
    file = attempt.context.input_file
    attempt.context.add_labels(file, [{"name": "stage", "value": "done"}])
    changed = attempt.context.update_metadata_tags(file, {"n": "5"})
    found = attempt.context.search_eql({"query": {"match_all": {}}}, "filePointers")
    assert found == [changed]


def test_search_eql_query_parameters_set_the_page(attempt):
    for name in "abc":
        attempt.context.write_file("x", name, "PROCESSED")
    assert len(attempt.context.search_eql(QUERY, "filePointers", {"size": "2"})) == 2
    sized = {**QUERY, "size": 1}
    assert len(attempt.context.search_eql(sized, "filePointers", query={"size": 2})) == 1


@pytest.mark.parametrize(
    ("payload", "query", "message"),
    [
        pytest.param({"query": {"nonsense": {}}}, None, "nonsense", id="query"),
        pytest.param({"query": {"match_all": {}}}, {"size": "x"}, "integers", id="size"),
    ],
)
def test_search_eql_not_understood_is_refused(context, payload, query, message):
    with pytest.raises(ValueError, match=message):
        context.search_eql(payload, query=query)


def test_search_eql_is_recorded(attempt, world):
    payload = {"query": {"match_all": {}}}
    attempt.context.search_eql(payload)
    found = [world.input.pointer.file_id]
    assert attempt.scope.reads.entries == [{"kind": "search", "payload": payload, "fileIds": found}]


COMMAND = ("target", "start", {}, {"x": 1})


def test_run_cmd_says_that_there_is_no_service(context):
    with pytest.raises(NotAvailableError, match="need a command service"):
        context.run_cmd(*COMMAND)
    with pytest.raises(NotImplementedError):
        context.run_command("local", *COMMAND)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "start", {}, {}), "target_id missing"),
        (("t", None, {}, None), "action and payload missing"),
        ((*COMMAND, 59), "ttl_sec is 59"),
        ((*COMMAND, 901), "ttl_sec is 901"),
        ((*COMMAND, 300, -1), "initial_delay_sec is -1"),
        ((*COMMAND, 300, 61), "initial_delay_sec is 61"),
    ],
    ids=repr,
)
def test_run_cmd_wrong_argument_is_refused(context, arguments, message):
    with pytest.raises(ValueError, match=message):
        context.run_cmd(*arguments)


def test_run_command_without_organisation_is_refused(context):
    with pytest.raises(ValueError, match="org_slug"):
        context.run_command(None, *COMMAND)


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "No message"), (("bad plate",), "bad plate")]
)
def test_raise_fatal_error_ends_with_126(context, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        context.raise_fatal_error(*arguments)
    assert isinstance(caught.value, FatalError)
    assert (caught.value.code, caught.value.message, str(caught.value)) == (126, message, message)
    record = json.loads(capsys.readouterr().out)
    assert (record["level"], record["message"]) == ("error", f"Got FatalError: '{message}'")


def test_raise_fatal_error_is_not_swallowed_by_except_exception(context):
    def stubborn():
        try:
            context.raise_fatal_error("stop")
        except Exception:  # noqa: BLE001  # what it is about
            return "swallowed"

    with pytest.raises(FatalError):
        stubborn()


def test_get_logger_is_the_same_each_time(context):
    assert context.get_logger() is context.get_logger()


@pytest.fixture
def staged(tmp_path):
    """A file that holds a secret's value."""
    path = tmp_path / "staged"
    path.write_text("the key is s3cret-value")
    return path


def test_find_secrets_names_what_the_task_never_asked_for(world, staged):
    world.secrets[REFERENCE["ssm"]] = "s3cret-value"
    attempt = world.attempt({"pipelineConfig": {"api_key": REFERENCE, "pipelineName": "Push"}})
    assert attempt.context.find_secrets(staged) == [{"secret": "api_key", "member": ""}]
    assert attempt.scope.reads.entries == []
    assert list(attempt.scratch.iterdir()) == []


def test_find_secrets_without_any_finds_none(context, staged):
    assert context.find_secrets(staged) == []


def test_find_secrets_of_a_secret_that_cannot_be_read_is_refused(world, staged):
    attempt = world.attempt({"pipelineConfig": {"api_key": REFERENCE}})
    with pytest.raises(ValueError, match="cannot be searched for the secret 'api_key': no secret"):
        attempt.context.find_secrets(staged)


def test_find_secrets_of_no_plain_file_is_refused(world, tmp_path):
    world.secrets[REFERENCE["ssm"]] = "s3cret-value"
    attempt = world.attempt({"pipelineConfig": {"api_key": REFERENCE}})
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="no readable plain file"):
        attempt.context.find_secrets(tmp_path / "link")
