"""Pictures: their text is a golden file each, their SVG is well-formed, says what it shows, and is no danger.

RINGLET_REWRITE=1 writes the golden files anew; the diff is what is reviewed.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import examples
import gallery

from ringlet.display import Beside, History, Latencies, Picture, Replicas, Ring, Staleness, Timeline, Trees, Why

HERE = Path(__file__).parent
ALL: dict[str, Picture | Beside] = {**examples.PICTURES, **examples.BESIDE}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("called", ALL)
def test_text_is_as_written_down(called: str) -> None:
    file = HERE / "golden" / f"{called}.txt"
    text = f"{ALL[called]}\n"
    if os.environ.get("RINGLET_REWRITE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in (HERE / "golden").glob("*.txt")} == set(ALL)


@pytest.mark.parametrize("called", ALL)
def test_svg_is_well_formed_and_says_what_it_shows(called: str) -> None:
    text = ALL[called].svg()
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    titles = [root.find(f"{SVG}{part}") for part in ("title", "desc")]
    assert all(each is not None and each.text for each in titles)
    assert root.get("aria-labelledby", "").split() == [each.get("id") for each in titles if each is not None]
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert {used for used in re.findall(r"url\(#([^)]*)\)", text)} <= set(ids)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg", "title", "desc", "style", "defs", "marker", "pattern", "path", "rect", "g", "text", "circle"
    }  # fmt: skip
    assert not any(name.startswith("on") or "href" in name for each in root.iter() for name in each.attrib)
    assert "prefers-color-scheme:dark" in text and "currentColor" in text
    inside(root)


def inside(root: ElementTree.Element) -> None:
    """All text lies within the picture."""
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))

    def look(element: ElementTree.Element, dx: float, dy: float) -> None:
        moved = re.match(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
        if moved:
            dx, dy = dx + float(moved[1]), dy + float(moved[2])
        if element.tag == f"{SVG}text":
            small = " t " in f" {element.get('class', '')} "
            wide = len(element.text or "") * (6.1 if small else 7.3)
            x = float(element.get("x", "0")) + dx
            left = x - {"middle": wide / 2, "end": wide}.get(element.get("text-anchor", ""), 0.0)
            assert left >= -1 and left + wide <= width + 1, element.text
            assert 0 <= float(element.get("y", "0")) + dy <= height, element.text
        for child in element:
            look(child, dx, dy)

    look(root, 0, 0)


def boxes(text: str) -> list[tuple[float, float, float, float]]:
    found = []
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if group.find(f"{SVG}title") is not None and rect is not None:
            x, y, w, h = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
            for line in group.findall(f"{SVG}text"):
                wide = sum(2 if ord(c) > 0x2E80 else 1 for c in line.text or "") * 7.3
                assert x <= float(line.get("x", "0")) and float(line.get("x", "0")) + wide <= x + w + 1, line.text
    return found


@pytest.mark.parametrize("data", [examples.history(), examples.hostile(), examples.many_siblings(), examples.long_history(200)])
def test_no_box_lies_over_another_and_no_edge_runs_behind_one(data: dict[str, Any]) -> None:
    text = History(data).svg()
    found = boxes(text)
    assert len(found) == len(data["versions"])
    for i, a in enumerate(found):
        for b in found[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for x, begin, end in re.findall(r'd="M[^"]*?([\d.]+) ([\d.]+)V([\d.]+)"', text):
        for left, top, right, bottom in found:
            assert not (left < float(x) < right and top + 1 < float(begin) and float(end) < bottom - 1)


def test_a_value_cannot_be_a_script_and_long_ones_say_their_length() -> None:
    picture = History(examples.hostile())
    for text in (picture.svg(), picture.html(), picture.why().svg(), picture.beside(picture).svg()):
        assert "<script" not in text and "<img" not in text
        assert len(text) < 40_000
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800-\udfff\ue000]", text)
    assert "(10,240 bytes)" in picture.svg() and "(10,240 bytes)" in str(picture)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", str(picture) + str(picture.why()))


def test_bytes_are_the_same_in_another_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import examples, hashlib; "
        "print(hashlib.sha256(''.join(p.svg() + str(p) for p in [*examples.PICTURES.values(), "
        "*examples.BESIDE.values()]).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, str(HERE)], capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1


def test_sets_and_addresses_in_values_are_the_same_everywhere() -> None:
    class Thing:
        pass

    def shown(value: Any) -> str:
        data = {"bucket": "b", "key": "k", "now_us": 0, "versions": [examples.version("n1·1:1", "x", "a", 0, [], "living")]}
        return str(History(data, lambda raw: value))

    assert "{'a', 'b', 'c'}" in shown({"c", "a", "b"}) and "{'x': {1, 2}}" in shown({"x": {2, 1}})
    assert " at 0x" not in shown(Thing())

    class Angry:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "cannot" in shown(Angry())

    def undecodable(raw: bytes) -> Any:
        raise ValueError

    data = {"bucket": "b", "key": "k", "now_us": 0, "versions": [examples.version("n1·1:1", "x", "a", 0, [], "living")]}
    assert "1 byte that cannot be decoded: ValueError" in str(History(data, undecodable))


def test_a_thousand_versions_take_less_than_a_second() -> None:
    data = examples.long_history(1000)
    begun = time.process_time()
    History(data).svg()
    str(History(data))
    assert time.process_time() - begun < 1.0


def test_states_are_told_apart_without_colour() -> None:
    text = History(examples.history()).svg()
    style = re.search("<style>(.*?)</style>", text, re.S)
    assert style
    forms = {}
    for state in ("living", "replaced", "deleted", "unacknowledged", "unknown"):
        rule = re.search(rf"\.rl \.{state}\{{([^}}]*)\}}", style[1])
        assert rule
        forms[state] = re.sub(r"(fill|stroke):[^;]*;?", "", rule[1])
    assert len(set(forms.values())) == 5, forms


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_text_can_be_read_in_light_and_dark() -> None:
    """4.5 to 1, which WCAG 2 asks of text."""
    from ringlet.display import _svg

    grounds = [name for name in _svg._COLOURS if name.endswith("ground")]
    for theme in (0, 1):
        for text, on in [("text", grounds), ("soft", ["ground", "living-ground", "replaced-ground", "deleted-ground", "open-ground"])] + [
            (f"{state}", [f"{state}-ground", "ground"]) for state in ("living", "replaced", "deleted", "open", "mark")
        ]:
            for ground in on:
                a, b = sorted((luminance(_svg._COLOURS[text][theme]), luminance(_svg._COLOURS[ground][theme])))
                assert (b + 0.05) / (a + 0.05) >= 4.5, (theme, text, ground, round((b + 0.05) / (a + 0.05), 2))


def test_what_was_left_out_is_said() -> None:
    for kind, data in ((History, examples.history()), (Timeline, examples.timeline())):
        picture = kind({**data, "truncated": 3})
        assert "3 more" in str(picture) and "left out" in str(picture) and "left out" in picture.svg()
    messages = examples.timeline()["messages"][:1] * 2500
    picture = Timeline({**examples.timeline(), "messages": messages})
    assert "500 more messages are not drawn" in str(picture) and "500 more messages are not drawn" in picture.svg()


def test_a_part_of_a_timeline() -> None:
    whole = Timeline(examples.timeline())
    assert len(whole.only(request=1).messages) == 5 and len(whole.only(request=1).requests) == 1
    assert len(whole.only(key="c").messages) == len(whole.messages)
    assert not whole.only(key="other").messages and not whole.only(bucket="other").requests
    assert {m["type"] for m in whole.only(hosts=["n3", "n2"]).messages} == {"ReplicaPut"}
    assert len(whole.only(from_us=2_000_000).requests) == 1


def test_beside_marks_what_differs() -> None:
    picture = examples.BESIDE["history_beside"]
    assert len(picture.differences) == 3 and "≠ other state" in picture.svg() and "≠ only here" in str(picture)
    same = History(examples.history()).beside(History(examples.history()))
    assert same.differences == [] and "nothing differs" in str(same) and 'class="marked"' not in same.svg()
    with pytest.raises(TypeError, match="wanted another History, got Ring"):
        History(examples.history()).beside(Ring(examples.ring()))  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    picture = History(examples.history())
    for ending, begins in (("svg", "<svg"), ("html", "<!DOCTYPE html>"), ("txt", "carts/c")):
        assert picture.save(tmp_path / f"h.{ending}").read_text(encoding="utf-8").startswith(begins)
    with pytest.raises(ValueError, match=r"ends in .svg, .html or .txt, got 'h.png'"):
        picture.save(tmp_path / "h.png")
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/svg+xml"}


WRONG: list[tuple[type[Picture], Any, str]] = [
    (History, [], "history: wanted a dict, got list"),
    (History, {}, "history: wanted a field 'bucket', got none"),
    (History, {"bucket": 1}, "history.bucket: wanted str, got int"),
    (History, {"bucket": "b", "key": "k", "versions": [1]}, r"history.versions\[0\]: wanted a dict, got int"),
    (History, {"bucket": "b", "key": "k", "versions": [{"dot": "a", "state": "gone"}]}, "wanted living, replaced, .* or unknown, got 'gone'"),
    (History, {"bucket": "b", "key": "k", "versions": [{"dot": "a", "value": "?"}]}, "value: wanted base64 text, got '?'"),
    (History, {"bucket": "b", "key": "k", "versions": [{"dot": "a"}, {"dot": "a"}]}, "wanted each dot once, got 'a' again"),
    (History, {"bucket": "b", "key": "k", "versions": [{"dot": "a", "seen": ["b"]}, {"dot": "b", "seen": ["a"]}]}, "got a circle of 'seen'"),
    (History, {"bucket": "b", "key": "k", "versions": [{"dot": "a", "at_us": 0.5}]}, "at_us: wanted whole microseconds or None, got float"),
    (Why, {"bucket": "b"}, "wanted a field 'key', got 'bucket'"),
    (Timeline, {"hosts": [{}], "from_us": 0, "to_us": 1}, r"timeline.hosts\[0\]: wanted a field 'name'"),
    (Timeline, {"hosts": [], "from_us": 0, "to_us": 1, "messages": [{"from": "a", "to": "b", "sent_us": "now", "type": "x"}]}, r"messages\[0\].sent_us: wanted int, got str"),
    (Ring, {"partitions": 8, "n": 3, "members": [], "slots": [{"partition": 0}]}, r"ring.slots\[0\]: wanted a field 'owners'"),
    (Replicas, {"bucket": "b", "key": "k"}, "replicas: wanted a field 'nodes'"),
    (Trees, {"a": "n1", "b": "n2", "levels": [{"level": 0}]}, r"trees.levels\[0\]: wanted a field 'compared'"),
    (Latencies, {"series": [{"name": "x", "samples_us": [-1]}]}, "wanted microseconds of at least 0, got -1"),
    (Staleness, {"series": [{"name": "x", "points": [{"after_us": 1, "stale": 2}]}]}, "wanted a share from 0 to 1, got 2.0"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "said"), WRONG)
def test_what_cannot_be_drawn_is_refused_with_what_was_wanted(kind: type[Picture], data: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(data)


def test_a_decoder_is_a_function_or_a_codec() -> None:
    import ringlet

    assert "['tea']" in str(Replicas(examples.replicas(), ringlet.Json))
    with pytest.raises(TypeError, match="decode: wanted a function of bytes or a codec, got int"):
        History(examples.history(), 7)


def test_pictures_do_not_change_what_they_are_given() -> None:
    for make, kind in ((examples.history, History), (examples.timeline, Timeline), (examples.ring, Ring), (examples.replicas, Replicas)):
        data = make()
        before = copy.deepcopy(data)
        picture = kind(data)
        picture.svg(), str(picture), picture.beside(picture).svg()
        assert data == before and json.dumps(data)


def test_rings_of_many_sizes() -> None:
    for partitions, nodes in ((1, 1), (8, 2), (256, 12), (1024, 64)):
        picture = Ring(examples.ring(partitions, nodes))
        ElementTree.fromstring(picture.svg())
        assert str(picture)


def test_why_of_each_case() -> None:
    def why(*versions: dict[str, Any]) -> str:
        return " ".join(str(Why({"bucket": "b", "key": "k", "now_us": 9, "versions": list(versions)})).split())

    v = examples.version
    assert why() == "Nothing was written to b/k."
    one = v("n1·1:1", "x", "alice", 1, [], "living")
    assert "has one version, 'x' (n1·1:1). alice wrote 'x' at 0.000 s through n1 without a context" in why(one)
    gone = v("n1·1:2", None, "bob", 5, ["n1·1:1"], "deleted", deleted=True)
    assert "has no value: bob deleted it through n1 at 0.000 s (n1·1:2)." in why({**one, "state": "replaced"}, gone)
    missed = v("n2·1:1", "y", "bob", 900_000, [], "living", read_at_us=800_000, context=["n9·1:1"])
    assert "'x' (n1·1:1) was there by then, and the nodes that answered the read did not have it yet." in why(one, missed)
    foreign = v("n3·1:1", "z", None, None, [], "living")
    assert "what that writer had seen is not known" in why(one, foreign)
    merged = v("n1·1:3", "xy", "carol", 7, ["n1·1:1", "n2·1:1"], "living")
    assert "It merged 2 versions into one." in why({**one, "state": "replaced"}, {**missed, "state": "replaced"}, merged)


def test_the_gallery_shows_every_picture(tmp_path: Path) -> None:
    directory = Path(os.environ.get("RINGLET_GALLERY") or tmp_path)
    gallery.write(directory)
    for theme in ("", "-light", "-dark"):
        text = (directory / f"gallery{theme}.html").read_text(encoding="utf-8")
        assert text.count("<svg ") == len(ALL) and "<script" not in text


def test_large_timelines_and_comparisons_take_seconds_at_most() -> None:
    data = examples.timeline()
    ones = [{**data["messages"][0], "sent_us": 100 * i, "arrived_us": 100 * i + 50} for i in range(5000)]
    asked = [{**data["requests"][0], "id": i, "from_us": 100 * i, "to_us": 100 * i + 70} for i in range(5000)]
    begun = time.process_time()
    picture = Timeline({**data, "messages": ones, "requests": asked})
    assert "3,000 more messages are not drawn" in str(picture) and "3,000 more requests are not drawn" in picture.svg()
    picture.beside(picture).svg()
    same = History(examples.long_history(1000))
    assert same.beside(History(examples.long_history(1000))).differences == []
    Ring(examples.ring(4096, 32)).svg()
    assert time.process_time() - begun < 8
