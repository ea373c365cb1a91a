import pytest

from stepline.model import file_rules


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", "b"), ("A b-c_d+e", "x-y_z+1.2,3/4 5"), ("0", "0")],
    ids=["plain", "every character", "digits"],
)
def test_metadata_problem_good_entry_has_none(key, value):
    assert file_rules.metadata_problem(key, value) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [("", "b"), ("a.b", "b"), ("a", "b\n"), ("a\n", "b"), ("a", "b=c"), ("a", " b"), ("a ", "b")],
    ids=repr,
)
def test_metadata_problem_bad_entry_has_one(key, value):
    assert file_rules.metadata_problem(key, value)


@pytest.mark.parametrize(
    ("tag", "good"),
    [
        ("a", True),
        ("a-b_c+d.e/f g", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a,b", False),
        ("a\n", False),
        ("ä", False),
    ],
)
def test_tag_problem(tag, good):
    assert (file_rules.tag_problem(tag) == "") is good


@pytest.mark.parametrize(
    ("metadata", "tags", "good"),
    [
        pytest.param({}, [], True, id="none"),
        pytest.param({"a": "b" * 1533}, [], True, id="1535"),
        pytest.param({"a": "b" * 1534}, [], False, id="1536"),
        pytest.param({"a": "b" * 1530}, ["xyz"], True, id="1535 with tags"),
        pytest.param({"a": "b" * 1530}, ["xy", "z"], False, id="1536 with tags"),
        pytest.param({"a": "/" * 511}, [], True, id="encoded 1535"),
        pytest.param({"a": "/" * 512}, [], False, id="encoded 1538"),
        pytest.param({}, ["x" * 100] * 16, False, id="tags alone"),
    ],
)
def test_attributes_problem_counts_encoded_bytes(metadata, tags, good):
    assert (file_rules.attributes_problem(metadata, tags) == "") is good


def test_label_problems_names_each_faulty_label_once():
    labels = [{"name": "", "value": ""}, {"name": "ok", "value": "ok"}, "text"]
    assert len(file_rules.label_problems(labels)) == 2


@pytest.mark.parametrize("text", ["x", "a b", "ü" * 128, "a,b=c&d"])
def test_label_problems_good_text_has_none(text):
    assert file_rules.label_problems([{"name": text, "value": text}]) == []


@pytest.mark.parametrize("text", ["", "a\nb", "a\r", "\\", "\ufffe", "\uffff", " a", "a ", 5, None])
@pytest.mark.parametrize("part", ["name", "value"])
def test_label_problems_bad_text_has_one(part, text):
    label = {"name": "n", "value": "v", part: text}
    assert len(file_rules.label_problems([label])) == 1


@pytest.mark.parametrize("name", ["a", "a/b.csv", "a//b", "..a", "a b", "...", "ü"])
def test_file_name_problem_good_name_has_none(name):
    assert file_rules.file_name_problem(name) == ""


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "..", "a/../b", ".", "a/./b", "a\x00", "a\tb", "a\x7f"], ids=repr
)
def test_file_name_problem_bad_name_has_one(name):
    assert file_rules.file_name_problem(name)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        pytest.param("a/b", True, id="short"),
        pytest.param("x" * 255, True, id="longest part"),
        pytest.param("x" * 256, False, id="part too long"),
        pytest.param("ü" * 128, False, id="part too long in bytes"),
        pytest.param("/".join(["x" * 204] * 5), True, id="longest"),
        pytest.param("/".join(["x" * 204] * 5) + "y", False, id="too long"),
        pytest.param("\ud800", False, id="half a character"),
    ],
)
def test_key_problem(key, good):
    assert (file_rules.key_problem(key) == "") is good


@pytest.mark.parametrize(
    ("source_type", "good"),
    [("a-1", True), ("-", True), ("", False), ("A", False), ("a_b", False), ("a\n", False)],
)
def test_source_type_problem(source_type, good):
    assert (file_rules.source_type_problem(source_type) == "") is good
