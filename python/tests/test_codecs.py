"""Codecs by themselves, without a cluster."""

from __future__ import annotations

import dataclasses

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
    assert ringlet.Json.encode({"s": {"x", "y"}}) == ringlet.Json.encode({"s": {"y", "x"}})


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
