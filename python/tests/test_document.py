"""Documents from Python: edits, reading, what does not fit, and old values that are taken over."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ringlet
from ringlet import document
from ringlet.document import Counter, Flag, Map, Register, RegisterAll, Set

CART = Map(
    items=Map(of=Counter),
    coupons=Set,
    gift=Flag,
    note=Register,
    colours=RegisterAll,
    deep=Map(of=Map(of=Set)),
)
EMPTY = {"items": {}, "coupons": set(), "gift": False, "note": None, "colours": [], "deep": {}}


@pytest.fixture
def carts(client, name):
    return client.bucket(name, codec=CART)


def test_a_document_of_every_type_is_edited_and_read(carts):
    assert not carts.get("a")
    with pytest.raises(ringlet.KeyMissing):
        carts.get("a").value

    def first(c):
        c["items"]["tea"].increment(3)
        c["items"]["tea"] -= 1
        c["coupons"].add("SUMMER", 5, b"\xff", True)
        c["gift"].enable()
        c["note"] = "ring twice"
        c["colours"].set(0.5)
        c["deep"][1]["x"].add("y")

    written = carts.edit("a", first)
    assert written.merged and written.value == {
        "items": {"tea": 2},
        "coupons": {"SUMMER", 5, b"\xff", True},
        "gift": True,
        "note": "ring twice",
        "colours": [0.5],
        "deep": {1: {"x": {"y"}}},
    }
    with carts.editing("a") as c:
        c["coupons"].discard("SUMMER", "never there", True)
        c["gift"] = False
        c["note"].clear()
        del c["deep"][1]
        c["items"].discard("milk")
    value = carts.get("a").value
    assert value["coupons"] == {5, b"\xff"} and not value["gift"]
    assert value["note"] is None and value["deep"] == {}
    carts.edit("a", lambda c: c.clear())
    assert carts.get("a").value == EMPTY


def test_edits_of_many_threads_are_exact_and_never_a_conflict(carts):
    def work(number: int) -> None:
        for _ in range(5):
            carts.edit("busy", lambda c: c["items"]["tea"].increment(), timeout=30.0)
            carts.edit("busy", lambda c: c["coupons"].add(number), timeout=30.0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    value = carts.get("busy").value
    assert value["items"] == {"tea": 30} and value["coupons"] == set(range(6))


def test_an_edit_that_is_repeated_under_its_id_counts_once(carts):
    for _ in range(3):
        carts.edit("once", lambda c: c["items"]["tea"].increment(2), write_id=b"0123456789abcdef")
    assert carts.get("once").value["items"] == {"tea": 2}


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (lambda c: c["nothing"].add(1), ringlet.UsageError, "has no field 'nothing'"),
        (lambda c: c["items"][""].increment(), ringlet.UsageError, "wanted 1 to 1024 bytes, got 0"),
        (lambda c: c["items"]["n" * 65536].increment(), ringlet.UsageError, "got 65536"),
        (lambda c: c["items"]["\ud800"].increment(), ringlet.UsageError, "surrogate"),
        (lambda c: c["items"]["tea"].increment(2**63), ringlet.UsageError, "64 bits"),
        (lambda c: c["items"]["tea"].increment(2**63 - 1), ringlet.UsageError, "64 bits, got 1 +"),
        (lambda c: c["items"]["tea"].increment(1.5), TypeError, "whole number"),
        (lambda c: c["coupons"].add(2**64), ringlet.UsageError, "64 bits"),
        (lambda c: c["coupons"].add(1.5), ringlet.UsageError, "got a real number"),
        (lambda c: c["coupons"].add([]), TypeError, "got list"),
        (lambda c: c.__delitem__("note"), ringlet.UsageError, "wanted a field there, got nothing"),
        (lambda c: c.__setitem__("coupons", {"x"}), ringlet.UsageError, "only a register or a flag"),
        (
            lambda c: [c["gift"].enable() for _ in range(10_000)],
            (ringlet.UsageError, ringlet.TooLarge),
            "4096",
        ),
        (5, TypeError, "wanted a function"),
    ],
)
def test_an_edit_that_does_not_fit_says_so_and_writes_nothing(carts, edit, error, words):
    carts.edit("bad", lambda c: c["items"]["tea"].increment())
    with pytest.raises(error, match=None) as raised:
        carts.edit("bad", edit)
    assert words in str(raised.value)
    assert carts.get("bad").value == {**EMPTY, "items": {"tea": 1}}


def test_a_schema_that_does_not_fit_is_a_decode_error_with_the_path(carts, client, name):
    carts.edit("k", lambda c: c["items"]["tea"].increment())
    other = client.bucket(name, codec=Map(items=Map(of=Set)))
    with pytest.raises(ringlet.DecodeError, match="items/tea: wanted a set, got a counter"):
        other.get("k").value
    with pytest.raises(ringlet.UsageError, match="wanted a set at items/tea, got a counter"):
        other.edit("k", lambda c: c["items"]["tea"].add("x"))
    assert client.bucket(name, codec=Map(gift=Flag)).get("k").value == {"gift": False}


def test_documents_and_plain_values_under_one_key_are_an_error_in_words(carts, client, name):
    client.bucket(name, codec=ringlet.Json).put("p", ["tea"])
    with pytest.raises(ringlet.DecodeError, match="wanted a document"):
        carts.get("p").value
    with pytest.raises(ringlet.UsageError, match="wanted a document"):
        carts.edit("p", lambda c: c["gift"].enable())
    assert client.bucket(name, codec=ringlet.Json).get("p").value == ["tea"]
    with pytest.raises(ringlet.UsageError, match="not put"):
        carts.put("p", EMPTY)
    with pytest.raises(ringlet.UsageError, match=r"codec is a ringlet.document.Map"):
        client.bucket(name).edit("p", lambda c: None)


def test_old_unions_are_read_and_become_documents_with_the_next_edit(client, name):
    json = client.bucket(name, codec=ringlet.Json)
    json.put("u", ["tea", "milk"])
    json.put("u", ["tea", "bread"])  # blind: a sibling
    schema = Map(things=Set, gift=Flag)
    things = client.bucket(
        name, codec=schema.from_value(ringlet.Json, lambda items: {"things": set(items)})
    )
    assert things.get("u").value == {"things": {"tea", "milk", "bread"}, "gift": False}
    written = things.edit("u", lambda c: c["things"].discard("milk"))
    assert written.value == {"things": {"tea", "bread"}, "gift": False}
    assert client.bucket(name, codec=schema).get("u").value["things"] == {"tea", "bread"}
    things.edit("u", lambda c: c["gift"].enable())
    assert things.get("u").value["gift"] is True


def test_what_is_taken_over_at_the_same_time_counts_once(client, name):
    client.bucket(name, codec=ringlet.Json).put("u", 10)
    schema = Map(n=Counter).from_value(ringlet.Json, lambda old: {"n": old})
    hits = client.bucket(name, codec=schema, timeout=30.0)

    def count():
        for _ in range(10):
            hits.edit("u", lambda c: c["n"].increment())

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hits.get("u").value == {"n": 90}


def test_a_value_of_more_than_one_calls_edits_is_taken_over(client, name):
    client.bucket(name, codec=ringlet.Json).put("u", list(range(10_000)))
    schema = Map(things=Set).from_value(ringlet.Json, lambda old: {"things": set(old)})
    things = client.bucket(name, codec=schema, timeout=30.0)
    assert len(things.get("u").value["things"]) == 10_000
    things.edit("u", lambda c: c["things"].discard(5_000))
    assert len(client.bucket(name, codec=Map(things=Set)).get("u").value["things"]) == 9_999


def test_what_cannot_be_taken_over_is_an_error_in_words_and_stays(client, name):
    json = client.bucket(name, codec=ringlet.Json)
    json.put("u", [1, 2])
    schema = Map(all=RegisterAll).from_value(ringlet.Json, lambda old: {"all": old})
    things = client.bucket(name, codec=schema)
    with pytest.raises(ringlet.DecodeError, match="wanted at most one value, got 2") as raised:
        things.get("u").value  # noqa: B018
    assert bytes(raised.value.raw) == b"[1,2]"
    with pytest.raises(ringlet.UsageError, match="wanted at most one value, got 2"):
        things.edit("u", lambda c: c["all"].set(3))
    client.bucket(name, codec=ringlet.Text).put("t", "old")
    with pytest.raises(ringlet.DecodeError, match="wanted application/json"):
        things.edit("t", lambda c: c["all"].set(3))
    assert json.get("u").value == [1, 2]
    assert client.bucket(name, codec=ringlet.Text).get("t").value == "old"


def test_one_and_true_are_two_elements_and_no_value_in_python(client, name):
    things = client.bucket(name, codec=Map(things=Set, count=Map(of=Counter)))
    things.edit("u", lambda c: c["things"].add(1, True))
    with pytest.raises(ringlet.DecodeError, match="things: 1 and True are two elements"):
        things.get("u").value  # noqa: B018
    things.edit("u", lambda c: c["things"].discard(True))
    assert things.get("u").value["things"] == {1}
    things.edit("u", lambda c: (c["count"][0].increment(2), c["count"][False].increment(3)))
    with pytest.raises(ringlet.DecodeError, match="count: 0 and False are two names"):
        things.get("u").value  # noqa: B018


def test_a_delete_beside_an_edit_hides_no_document_where_deletes_ask(client, name):
    things = client.bucket(name, codec=Map(things=Set), deletes="ask")
    things.edit("u", lambda c: c["things"].add("a"))
    seen = things.get("u")
    things.edit("u", lambda c: c["things"].add("b"))
    time.sleep(0.01)
    things.delete("u", seen)  # later by the clock, and beside the second edit
    read = things.get("u")
    assert read
    assert read.value == {"things": {"a", "b"}}


@pytest.mark.parametrize("damaged", [b"", b"\x00", b"\x01\x00", b"\x02later"])
def test_damaged_documents_are_an_error_that_names_the_key_and_keeps_the_bytes(client, name, damaged):
    class Bytes:
        content_type = "application/vnd.ringlet.document"

        def encode(self, value):
            return value

        def decode(self, raw):
            return bytes(raw)

    client.bucket(name, codec=Bytes()).put("u", damaged)
    with pytest.raises(ringlet.DecodeError, match="^u: version .*: document: wanted") as raised:
        client.bucket(name, codec=Map(things=Set)).get("u").value  # noqa: B018
    assert bytes(raised.value.raw) == damaged
    assert raised.value.key == "u"
    assert " object at " not in str(raised.value)


def test_edits_that_would_be_lost_are_an_error(carts):
    async def later(c):
        c["gift"].enable()

    for wrong in (lambda c: (c["coupons"].add(x) for x in "ab"), later):
        with pytest.raises(ringlet.UsageError, match="which has not run"):
            carts.edit("u", wrong)
    with carts.editing("u") as c:
        c["gift"].enable()
    with pytest.raises(ringlet.UsageError, match="sent already"):
        c["coupons"].add("late")
    assert carts.get("u").value == {**EMPTY, "gift": True}


def test_a_field_may_have_any_name_but_of(client, name):
    fields = Map(self=Set, name=Register, items=Map(of=Counter))
    things = client.bucket(name, codec=fields)
    assert things.edit("u", lambda c: c["self"].add(1)).value["self"] == {1}


class Address(document.Record):
    city = Register()
    tags = Set()


class Customer(document.Record):
    items = Map(of=Counter)
    coupons = Set()
    gift = Flag()
    address = Address.schema()


def test_a_record_is_read_by_attribute_and_stores_what_a_map_stores(client: ringlet.Client):
    customers = client.bucket("records", codec=Customer.schema())
    customers.edit("alice", lambda c: c["items"]["tea"].increment(2))
    with customers.editing("alice") as c:
        c["coupons"].add("SUMMER")
        c["address"]["city"] = "Bern"
    value = customers.get("alice").value
    assert isinstance(value, Customer)
    assert value.items == {"tea": 2}
    assert value.coupons == {"SUMMER"}
    assert value.gift is False
    assert value.address.city == "Bern"
    assert value.address.tags == set()
    named = Map(
        items=Map(of=Counter), coupons=Set, gift=Flag, address=Map(city=Register, tags=Set)
    )
    assert client.bucket("records", codec=named).get("alice").value == value.asdict()
    assert value == customers.get("alice").value
    assert "items={'tea': 2}" in repr(value)
    with pytest.raises(AttributeError, match="gift: a record is what was read"):
        value.gift = True  # type: ignore[misc,assignment]


def test_a_record_takes_over_what_was_written_before(client: ringlet.Client):
    client.bucket("old-records", codec=ringlet.Json).put("bob", ["SUMMER"])
    taking = Customer.schema().from_value(ringlet.Json, lambda items: {"coupons": set(items)})
    value = client.bucket("old-records", codec=taking).get("bob").value
    assert isinstance(value, Customer)
    assert value.coupons == {"SUMMER"}


def test_a_record_that_is_declared_wrongly_says_so():
    with pytest.raises(TypeError, match=r"Bad.coupons: wanted Set\(…\), got the class"):
        type("Bad", (document.Record,), {"coupons": Set})
    with pytest.raises(TypeError, match="Bad.schema: a field of a record cannot have this name"):
        type("Bad", (document.Record,), {"schema": Set()})
    with pytest.raises(TypeError, match="Bad.coupons: wanted coupons = a schema"):
        type("Bad", (document.Record,), {"__annotations__": {"coupons": "Set"}})
    one = Set()
    with pytest.raises(TypeError, match="Bad.b: wanted a schema of its own"):
        type("Bad", (document.Record,), {"a": one, "b": one})
    with pytest.raises(TypeError, match="Empty: wanted at least one field"):
        type("Empty", (document.Record,), {}).schema()


def test_a_schema_is_a_plain_attribute_of_other_classes():
    class Shop:
        schema = Map(of=Counter)

    assert Shop().schema is Shop.schema


def test_a_record_inherits_and_overrides_fields():
    class More(Customer):
        note = Register()
        gift = Counter()

    assert list(More._fields) == ["items", "coupons", "gift", "address", "note"]
    assert isinstance(More.gift, Counter)
    assert isinstance(Customer.gift, Flag)


def test_the_type_checker_knows_each_field_of_a_record(tmp_path: Path):
    pytest.importorskip("mypy", reason="mypy is not in this environment")
    program = tmp_path / "record.py"
    program.write_text(
        "import ringlet\n"
        "from ringlet.document import Counter, Flag, Map, Record, RegisterAll, Set\n"
        "class Address(Record):\n"
        "    lines = RegisterAll()\n"
        "class Cart(Record):\n"
        "    items = Map(of=Counter)\n"
        "    coupons = Set()\n"
        "    gift = Flag()\n"
        "    address = Address.schema()\n"
        "def read(client: ringlet.Client) -> int:\n"
        "    value = client.bucket('carts', codec=Cart.schema()).get('k').value\n"
        "    reveal_type(value)\n"
        "    reveal_type(value.items)\n"
        "    reveal_type(value.coupons)\n"
        "    reveal_type(value.gift)\n"
        "    reveal_type(value.address.lines)\n"
        "    reveal_type(Cart.items)\n"
        "    wrong: str = value.gift\n"
        "    value.nothing\n"
        "    return value.items['tea']\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(ringlet.__file__).parents[1],
    )
    said = done.stdout.replace("builtins.", "")
    name = "str | bytes | int | bool"
    for line, wanted in [
        (12, "record.Cart"),
        (13, f"dict[{name}, int]"),
        (14, f"set[{name}]"),
        (15, "bool"),
        (16, "list[str | bytes | int | bool | float | None]"),
        (17, f"ringlet.document.Map[dict[{name}, int]]"),
    ]:
        assert f'record.py:{line}: note: Revealed type is "{wanted}"' in said, said
    assert "record.py:18: error: Incompatible types in assignment" in said, said
    assert 'record.py:19: error: "Cart" has no attribute "nothing"' in said, said
    assert said.count("error:") == 2, said


def test_the_type_checker_knows_the_value(tmp_path: Path):
    pytest.importorskip("mypy", reason="mypy is not in this environment")
    program = tmp_path / "typed.py"
    program.write_text(
        "import ringlet\n"
        "from ringlet.document import Counter, Map, Set\n"
        "def stock(client: ringlet.Client) -> int:\n"
        "    bucket = client.bucket('stock', codec=Map(of=Counter))\n"
        "    reveal_type(bucket.get('k').value)\n"
        "    reveal_type(client.bucket('t', codec=Map(of=Map(of=Set))).get('k').value)\n"
        "    return bucket.get('k').value['tea']\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(ringlet.__file__).parents[1],
    )
    said = done.stdout.replace("builtins.", "")
    assert "dict[str | bytes | int | bool, int]" in said, said
    assert "set[str | bytes | int | bool]" in said, said
    assert "error" not in said, said
