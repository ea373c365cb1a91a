"""Each test holds for `frozen` and for the standard library's own frozen dataclasses."""

import copy
import dataclasses
import pickle
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field
from typing import ClassVar

import pytest

from stepline.frozen import frozen


def standard(cls=None, /, **options):
    """Frozen dataclasses as the standard library makes them."""
    return dataclass(cls, frozen=True, **options)


@standard
class StandardPoint:
    x: int
    y: int = 0


@frozen
class FrozenPoint:
    x: int
    y: int = 0


@pytest.fixture(params=[standard, frozen], ids=["standard", "frozen"])
def decorate(request):
    """The decorator."""
    return request.param


@pytest.fixture
def point(decorate):
    """A class of module level, as pickling needs one, with a default."""
    return StandardPoint if decorate is standard else FrozenPoint


@pytest.fixture
def rich(decorate):
    """A class with every kind of field that is allowed, and a post-init."""

    @decorate
    class Rich:
        """Words."""

        kind: ClassVar[str] = "rich"
        name: str
        items: list[int] = field(default_factory=list)
        note: str = field(default="", compare=False)
        hidden: str = field(default="h", repr=False)
        _: KW_ONLY
        size: int = 1

        def __post_init__(self):
            object.__setattr__(self, "name", self.name.strip())

    return Rich


def test_frozen_construction_takes_positions_names_and_defaults(point):
    assert [vars(made) for made in (point(1), point(1, 2), point(y=2, x=1))] == [
        {"x": 1, "y": 0},
        {"x": 1, "y": 2},
        {"x": 1, "y": 2},
    ]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((), {"y": 1}),
        ((1, 2, 3), {}),
        ((1,), {"x": 1}),
        ((1,), {"z": 1}),
        ((1, 2), {"y": 3}),
    ],
    ids=["nothing", "missing", "too many", "twice", "unknown", "twice, with a default"],
)
def test_frozen_construction_with_wrong_arguments_raises(point, args, kwargs):
    with pytest.raises(TypeError):
        point(*args, **kwargs)


def test_frozen_default_factory_makes_a_value_each_time(rich):
    one, two = rich("a"), rich("b")
    one.items.append(1)
    assert (one.items, two.items) == ([1], [])


def test_frozen_post_init_may_settle_fields(rich):
    assert rich("  a ").name == "a"


def test_frozen_fields_after_the_mark_are_keyword_only(rich):
    assert rich("a", [], "n", "h", size=3).size == 3
    with pytest.raises(TypeError):
        rich("a", [], "n", "h", 3)


def test_frozen_kw_only_class_takes_no_positions(decorate):
    @decorate(kw_only=True)
    class Pair:
        a: int = 0
        b: int

    assert vars(Pair(b=1)) == {"a": 0, "b": 1}
    with pytest.raises(TypeError):
        Pair(0, 1)


def test_frozen_equality_is_by_compared_fields_and_class(rich, point):
    assert rich("a", note="x") == rich("a", note="y")
    assert rich("a", [1]) != rich("a", [2])
    assert point(1) != (1, 0)
    assert (StandardPoint(1) == FrozenPoint(1)) is False
    assert point(1).__eq__((1, 0)) is NotImplemented


def test_frozen_equality_of_a_subclass_is_its_own(point):
    class Sub(point):
        pass

    assert Sub(1) != point(1)
    assert Sub(1) == Sub(1)


def test_frozen_hash_follows_compared_fields(decorate):
    @decorate
    class Noted:
        a: int
        note: list[int] = field(default_factory=list, compare=False)
        extra: list[int] = field(default_factory=list, hash=False)

    assert hash(Noted(1, [1])) == hash(Noted(1, [2], []))
    assert len({Noted(1, [1]), Noted(1, [2]), Noted(2)}) == 2
    assert hash(Noted(1)) == hash((1,))


def test_frozen_hash_of_an_unhashable_field_raises(rich):
    with pytest.raises(TypeError, match="unhashable"):
        hash(rich("a"))


def test_frozen_class_with_its_own_equality_can_still_be_hashed(decorate):
    @decorate
    class Loose:  # noqa: PLW1641  (that is the point)
        a: int

        def __eq__(self, other):
            return True

    assert Loose(1) == Loose(2)
    assert hash(Loose(1)) == hash((1,))


def test_frozen_own_methods_are_kept(decorate):
    @decorate
    class Own:
        a: int

        def __repr__(self):
            return "own"

        def __hash__(self):
            return 7

    assert (repr(Own(1)), hash(Own(1))) == ("own", 7)


def test_frozen_repr_names_the_shown_fields(rich):
    name = rich.__qualname__
    assert repr(rich("a", [1])) == f"{name}(name='a', items=[1], note='', size=1)"


@pytest.mark.parametrize("name", ["x", "unknown"])
def test_frozen_attributes_cannot_be_set_or_deleted(point, name):
    made = point(1)
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(made, name, 2)
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(made, name)
    assert made.x == 1


def test_frozen_plain_subclass_may_have_attributes_of_its_own(point):
    class Sub(point):
        pass

    made = Sub(1)
    made.own = 3
    del made.own
    with pytest.raises(FrozenInstanceError):
        made.x = 2


def test_frozen_subclass_adds_fields(decorate, point):
    @decorate
    class Deep(point):
        z: int = 5

    assert vars(Deep(1, 2)) == {"x": 1, "y": 2, "z": 5}
    assert Deep(1, 2, 3) != Deep(1, 2, 4)


def test_frozen_works_with_the_functions_of_dataclasses(rich, point):
    made = dataclasses.replace(rich("a", [1], size=2), name="b")
    assert dataclasses.asdict(made) == {
        "name": "b",
        "items": [1],
        "note": "",
        "hidden": "h",
        "size": 2,
    }
    assert dataclasses.astuple(point(1)) == (1, 0)
    assert [each.name for each in dataclasses.fields(point)] == ["x", "y"]
    assert dataclasses.is_dataclass(point)
    with pytest.raises(TypeError):
        dataclasses.replace(made, unknown=1)


def test_frozen_matches_patterns(point, rich):
    match point(1, 2):
        case StandardPoint(x, 2) | FrozenPoint(x, 2):
            assert x == 1
        case _:
            pytest.fail("no match")
    assert point.__match_args__ == ("x", "y")
    assert rich.__match_args__ == ("name", "items", "note", "hidden")


def test_frozen_values_can_be_copied_and_pickled(point):
    made = point(1, 2)
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_frozen_mutable_default_is_refused_at_definition(decorate):
    with pytest.raises(ValueError, match="mutable default"):

        @decorate
        class Wrong:
            items: list[int] = []  # noqa: RUF012  (that is the point)


def test_frozen_field_without_default_after_one_with_is_refused_at_definition(decorate):
    with pytest.raises(TypeError, match="'b' follows default argument"):

        @decorate
        class Wrong:
            a: int = 1
            b: int


def test_frozen_field_outside_of_init_is_refused_at_definition():
    """The standard library allows these; here nothing needs them."""
    with pytest.raises(TypeError, match="field 'a' must be one of"):

        @frozen
        class Wrong:
            a: int = field(init=False)
