"""Codecs by themselves, without a cluster."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import typing
import uuid
from typing import Any, Literal

import pytest

import ringlet


def through(codec, value):
    return codec.decode(memoryview(bytes(codec.encode(value))))


@dataclasses.dataclass
class Address:
    street: str


@dataclasses.dataclass
class Person:
    name: str
    tags: set[str] = dataclasses.field(default_factory=set)
    address: Address | None = None
    home: Address = dataclasses.field(default_factory=lambda: Address("none"))


def test_values_come_back():
    assert through(ringlet.Text, "чай ☕") == "чай ☕"
    assert through(ringlet.Json, {"b": [1, None, True], "a": "ü"}) == {
        "a": "ü",
        "b": [1, None, True],
    }
    assert bytes(through(ringlet.RAW, b"x")) == b"x"
    person = Person("ann", {"b", "a"}, None, Address("x"))
    assert through(ringlet.Dataclass(Person), person) == person


def test_equal_values_have_equal_bytes():
    assert ringlet.Json.encode({"a": 1, "b": 2}) == ringlet.Json.encode({"b": 2, "a": 1})
    people = [Person("ann", tags) for tags in ({"x", "y"}, {"y", "x"})]
    assert len({bytes(ringlet.Dataclass(Person).encode(person)) for person in people}) == 1


def test_bad_values_name_what_was_wanted_and_got():
    for codec, value, words in (
        (ringlet.Text, b"x", "wanted str, got bytes"),
        (ringlet.RAW, "x", "wanted bytes.*got str"),
        (ringlet.RAW, 3, "got int"),
        (ringlet.Json, object(), "got object"),
        (ringlet.Dataclass(Person), "x", "wanted Person, got str"),
    ):
        with pytest.raises(TypeError, match=words):
            codec.encode(value)
    with pytest.raises(ValueError):
        ringlet.Json.encode(float("nan"))
    with pytest.raises(UnicodeEncodeError):
        ringlet.Text.encode("\ud800")
    with pytest.raises(BufferError, match="contiguous"):
        ringlet.RAW.encode(memoryview(b"abcdef")[::2])
    with pytest.raises(TypeError, match="dataclass"):
        ringlet.Dataclass(int)


def test_bytes_that_do_not_decode_are_decode_errors(client, name):
    raw = client.bucket(name)
    for codec, data in (
        (ringlet.Text, b"\xff"),
        (ringlet.Json, b"{"),
        (ringlet.Dataclass(Person), b"[]"),
        (ringlet.Dataclass(Person), b'{"nosuch":1}'),
    ):
        # written by somebody whose codec says the same type and is wrong
        class Liar:
            content_type = codec.content_type
            encode = staticmethod(bytes)
            decode = staticmethod(bytes)

        key = f"{codec!r}{data!r}"
        raw.with_(codec=Liar()).put(key, data)
        found = raw.with_(codec=codec).get(key)
        with pytest.raises(ringlet.DecodeError) as caught:
            found.value
        assert caught.value.raw == data and caught.value.key == key


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1: "a"}, r"text for the keys of a dict, got 1, int"),
        ({"a": {None: 1}}, r"keys of a dict at a, got None"),
        ((1, 2), r"got tuple; use a list"),
        ({"a": [{"b": (1,)}]}, r"at a\[0\]\.b, got tuple"),
        ({1, 2}, r"got set; use a sorted list"),
        ({"a": b"x"}, r"at a, got bytes"),
        ([float("inf")], r"at \[0\], got inf"),
        ({"x": float("nan")}, r"at x, got nan"),
        ({"@stamps": {"a": [1, 1, 1, 1, "x"]}}, r"@stamps.* is taken"),
    ],
)
def test_json_refuses_what_it_cannot_give_back(value, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ringlet.Json.encode(value)


def test_json_reads_no_value_that_another_reader_would_read_otherwise():
    for data in (b'{"a":1,"a":2}', b"NaN", b"[Infinity]"):
        with pytest.raises(ValueError):
            ringlet.Json.decode(memoryview(data))
    deep = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="levels"):
        ringlet.Json.encode(deep)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(frozen=True)
class Line:
    name: str
    price: decimal.Decimal
    count: int = 1


@dataclasses.dataclass
class Order:
    id: uuid.UUID
    lines: list[Line]
    by_name: dict[str, Line]
    by_number: dict[int, list[Line]]
    seen: dict[tuple[int, str], bool]
    at: datetime.datetime
    took: datetime.timedelta
    colours: frozenset[Colour]
    pair: tuple[int, str]
    many: tuple[float, ...]
    note: str | None = None
    first: Line | None = None
    amount: int | float = 0
    kind: Literal["new", "old"] = "new"
    data: bytes = b""
    rest: Any = None
    parent: Order | None = None


def an_order(**more):
    tea = Line("tea", decimal.Decimal("1.10"), 2)
    return Order(
        id=uuid.UUID(int=7),
        lines=[tea],
        by_name={"tea": tea},
        by_number={3: [tea], 1: []},
        seen={(1, "a"): True},
        at=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        took=datetime.timedelta(microseconds=5),
        colours=frozenset({Colour.RED, Colour.BLUE}),
        pair=(1, "x"),
        many=(1.0, 2.5),
        **more,
    )


def test_a_dataclass_goes_as_deep_as_its_annotations():
    codec = ringlet.Dataclass(Order)
    order = an_order(
        note="n", first=Line("x", decimal.Decimal(1)), amount=1.5, data=b"\0\xff", rest={"a": [1]},
        parent=an_order(amount=3),
    )
    back = through(codec, order)
    assert back == order
    assert type(back.parent.amount) is int and type(back.amount) is float
    assert type(back.lines[0]) is Line and type(back.by_number[3][0]) is Line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"note": 3}, r"note: wanted str.*got int 3"),
        ({"amount": "3"}, r"amount: wanted int \| float, got str"),
        ({"amount": True}, r"amount: wanted int"),
        ({"kind": "odd"}, r"kind: wanted one of 'new', 'old'"),
        ({"first": Line(3, decimal.Decimal(1))}, r"first.name: wanted str, got int"),
        ({"rest": {1: 2}}, r"keys of a dict at rest"),
        ({"many": (float("nan"),)}, r"many\[0\]: wanted a finite float"),
        ({"lines": ["tea"]}, r"lines\[0\]: wanted Line, got str"),
        ({"lines": (Line("a", decimal.Decimal(1)),)}, r"lines: wanted list\[Line\], got tuple"),
    ],
)
def test_a_dataclass_checks_what_it_writes(change, words):
    with pytest.raises(TypeError, match=words):
        ringlet.Dataclass(Order).encode(dataclasses.replace(an_order(), **change))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"name":"a"}', r"Line wanted price, got none"),
        (b'{"name":1,"price":"1"}', r"name: wanted str, got int"),
        (b'{"name":"a","price":"x"}', r"price: wanted Decimal, got 'x'"),
        (b'{"name":"a","price":"1","count":"2"}', r"count: wanted int, got str"),
        (b'{"name":"a","price":"1","more":2}', r"no field more; it has name, price, count"),
        (b'{"name":"a","name":"b","price":"1"}', r"names a field twice"),
        (b"[]", r"wanted Line, an object, got list"),
    ],
)
def test_a_dataclass_checks_what_it_reads(data, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ringlet.Dataclass(Line).decode(memoryview(data))


def test_a_dataclass_that_cannot_be_written_is_refused_when_the_codec_is_made():
    @dataclasses.dataclass
    class Odd:
        thing: complex

    @dataclasses.dataclass
    class Mixed:
        when: datetime.date | str

    with pytest.raises(TypeError, match=r"Odd.thing: .*complex"):
        ringlet.Dataclass(Odd)
    with pytest.raises(TypeError, match=r"Mixed.when: date and str are both text"):
        ringlet.Dataclass(Mixed)


def test_m_20_a_codec_class_is_refused(client, name):
    with pytest.raises(TypeError, match="the class Dataclass"):
        client.bucket(name, codec=ringlet.Dataclass)


def test_pickle_is_opt_in_and_warns():
    with pytest.raises(ValueError, match="trusted=True"):
        ringlet.Pickle()
    with pytest.warns(UserWarning, match="runs code"):
        codec = ringlet.Pickle(trusted=True)
    assert through(codec, {1: {2}}) == {1: {2}}


def test_content_type_parameters_are_not_compared():
    from ringlet.versioned import decode

    assert decode(ringlet.Text, memoryview(b"x"), "Text/Plain; charset=utf-8", "k") == "x"
    assert decode(ringlet.Text, memoryview(b"x"), "", "k") == "x"


@dataclasses.dataclass
class Initialised:
    a: int
    b: dataclasses.InitVar[int]


@pytest.mark.parametrize(
    "hint",
    [int | datetime.timedelta, Literal[1] | datetime.timedelta, Literal["RED"] | Colour,
     dict[int, int] | list[list[int]], Colour | uuid.UUID, Literal[Colour.RED], Literal[b"x"]],
)
def test_a_union_that_json_would_mix_up_is_refused_when_the_codec_is_made(hint):
    with pytest.raises(TypeError, match="would be mixed up|cannot write Literal"):
        ringlet.Dataclass(dataclasses.make_dataclass("Mixed", [("f", hint)]))


def test_a_union_of_what_json_tells_apart_comes_back():
    user = typing.NewType("user", int)
    for hint, values in (
        (Literal["a", 1] | str | int, ("a", "b", 1, 2)),
        (user | str | None, (1, "1", None)),
        (float | datetime.timedelta, (1.0, datetime.timedelta(seconds=1))),
        (typing.Annotated[int, "of what"] | str, (1, "1")),
    ):
        cls = dataclasses.make_dataclass("Told", [("f", hint)])
        for value in values:
            again = through(ringlet.Dataclass(cls), cls(value)).f
            assert (type(again), again) == (type(value), value)


def test_what_could_never_be_read_again_is_refused():
    with pytest.raises(TypeError, match=r"Initialised\.b: .*InitVar"):
        ringlet.Dataclass(Initialised)
    of_float = dataclasses.make_dataclass("OfFloat", [("f", float)])
    with pytest.raises(TypeError, match="f: wanted a finite float, got int"):
        ringlet.Dataclass(of_float).encode(of_float(10**400))
    with pytest.raises(TypeError, match="f: wanted a finite float, got int of too many digits"):
        ringlet.Dataclass(of_float).encode(of_float(10**5000))


def test_a_lone_surrogate_is_refused_with_the_path():
    with pytest.raises(ValueError, match=r"at a\[1\]\.b, got a lone surrogate"):
        ringlet.Json.encode({"a": [1, {"b": "\ud800"}]})
    with pytest.raises(ValueError, match="for the keys of a dict at a, got"):
        ringlet.Json.encode({"a": {"\ud800": 1}})
    with pytest.raises(ValueError, match="street: .* got a lone surrogate"):
        ringlet.Dataclass(Address).encode(Address("\ud800"))
