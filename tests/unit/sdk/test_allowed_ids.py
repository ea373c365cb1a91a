import pytest

from stepline_sdk.allowed_ids import AllowedIds, Ids
from stepline_sdk.errors import IDSInvalidWrite, IDSNotAllowed

ONE = {"namespace": "common", "slug": "a", "version": "v1.0.0"}
TWO = {**ONE, "slug": "b"}


@pytest.mark.parametrize(
    ("config", "count"),
    [(None, 0), ([], 0), (ONE, 1), ([ONE], 1), ([ONE, ONE], 1), ([ONE, TWO], 2)],
)
def test_from_config_counts_each_ids_once(config, count):
    assert len(AllowedIds.from_config(config).allowed_ids) == count


@pytest.mark.parametrize("config", ["common/a:v1", 5, [{"namespace": "x"}], {}, [None]], ids=repr)
def test_from_config_other_forms_are_refused(config):
    with pytest.raises(ValueError, match="must be null, an object"):
        AllowedIds.from_config(config)


@pytest.mark.parametrize(
    ("config", "asked", "expected"),
    [
        (ONE, None, "common/a:v1.0.0"),
        (ONE, "common/a:v1.0.0", "common/a:v1.0.0"),
        (ONE, "common/b:v1.0.0", IDSNotAllowed),
        ([ONE, TWO], None, IDSInvalidWrite),
        ([ONE, TWO], "common/b:v1.0.0", "common/b:v1.0.0"),
        (None, None, IDSInvalidWrite),
        ([], "common/a:v1.0.0", IDSInvalidWrite),
    ],
)
def test_get_ids_to_be_written(config, asked, expected):
    allowed = AllowedIds.from_config(config)
    if isinstance(expected, str):
        assert allowed.get_ids_to_be_written(asked) == expected
        assert allowed.is_reconcilable(asked) is True
    else:
        with pytest.raises(expected):
            allowed.get_ids_to_be_written(asked)


def test_ids_equal_their_text():
    ids = Ids("common", "a", "v1.0.0")
    assert ids == "common/a:v1.0.0"
    assert ids.to_tuple() == ("common", "a", "v1.0.0")
    assert {ids} == {Ids("common", "a", "v1.0.0")}
    assert AllowedIds.from_config(ONE).get_first() == ids
    assert repr(ids) == "Ids('common', 'a', 'v1.0.0')"
