"""Contexts that clients of an older release stored are taken by every language, on the nodes that were upgraded."""

import base64
import importlib.util
import json
import shutil
import subprocess

import pytest
from conftest import BIN, ROOT, wait_for
from test_agreement import FIXTURES, shown, unpacked

LANGUAGES = {"c": "k10", "cpp": "k11", "python": "k12", "java": "k13"}  # with keys that have two siblings each


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    """A cluster of the older release's directories, opened by this one, and the name of its bucket."""
    cluster, manifest = unpacked(tmp_path_factory.mktemp("upgraded"))
    orders = [x for n in cluster.nodes for x in ("--set-address", f"{n.name}={n.address}")]
    for node in cluster.nodes:
        subprocess.run([str(BIN / "ringletd"), "--config", str(node.config), *orders], capture_output=True, check=True)
    try:
        cluster.start()
        wait_for("a key is read", lambda: "" if get(cluster, manifest, "k0").returncode == 0 else "not yet", 40)
        yield cluster, manifest
    finally:
        cluster.stop()


def get(cluster, manifest, key):
    return cluster.cli("--bucket", manifest["bucket"], "--output", "json", "get", key, "--r", "3")


def context_of(key):
    return base64.b64decode(json.loads((FIXTURES / "f2ab83d-contexts.json").read_text())["context_base64"][key])


@pytest.fixture
def put(upgraded):
    """A function that puts with a context in one of the languages; what its driver (tests/conformance) says."""
    cluster, manifest = upgraded
    if shutil.which("java") is None or not (BIN.parent / "bindings" / "java" / "generated").exists():
        pytest.skip("java or the JNI library is missing")
    spec = importlib.util.spec_from_file_location("conformance_run", ROOT / "tests" / "conformance" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drivers = module.drivers()

    def tell(language, *fields):
        drivers[language].ask(" ".join(f"{name}={module.escaped(value if isinstance(value, bytes) else value.encode())}"
                                       for name, value in fields))
        return {name: value.decode(errors="replace") for name, value in drivers[language].answer()}

    for language, driver in drivers.items():
        driver.start()
        said = tell(language, ("do", "open"), ("client", "a"), ("option", f"client.seeds={cluster.seeds}"),
                    ("option", f"client.cluster={cluster.name}"), ("option", "client.timeout_ms=10000"))
        assert said["status"] == "OK", (language, said)
    yield lambda language, key, value, context: tell(
        language, ("do", "put"), ("client", "a"), ("bucket", manifest["bucket"]), ("key", key), ("value", value),
        ("content_type", "application/octet-stream"), ("context", context))
    for driver in drivers.values():
        driver.stop()


def test_every_language_takes_stored_contexts(upgraded, put):
    """A context covers what it had seen and no more; one that is damaged or of another key is refused."""
    cluster, manifest = upgraded
    for language, key in LANGUAGES.items():
        context, old = context_of(key), manifest["expected"][key]
        assert len(old) == 2
        damaged = context[:20] + bytes([context[20] ^ 1]) + context[21:]
        for wrong, why in ((context_of("k0"), "another key"), (damaged, ""), (context[:-3], "")):
            said = put(language, key, "x", wrong)
            assert said["status"] == "INVALID_CONTEXT" and said["maybe"] == "0" and why in said["message"], (language, said)
        assert shown(get(cluster, manifest, key)) == old

        rival = f"written before {language} came back"
        assert cluster.cli("--bucket", manifest["bucket"], "put", key, rival).returncode == 0
        said = put(language, key, f"by {language}", context)
        assert said["status"] == "OK", (language, said)
        assert shown(get(cluster, manifest, key)) == sorted([rival, f"by {language}"]), language


def test_the_command_line_takes_stored_contexts(upgraded, tmp_path):
    cluster, manifest = upgraded
    stored = tmp_path / "stored"

    def cli(*words, key):
        stored.write_bytes(context_of(key))
        return cluster.cli("--bucket", manifest["bucket"], *words, "--context", str(stored))

    assert cli("put", "k5", "new", key="k5").returncode == 0
    assert shown(get(cluster, manifest, "k5")) == ["new"]
    assert cli("put", "k20", "made again", key="k20").returncode == 0  # it was deleted, and the delete was seen
    assert shown(get(cluster, manifest, "k20")) == ["made again"]
    assert cli("delete", "k40", key="k40").returncode == 0
    assert get(cluster, manifest, "k40").returncode == 1
    assert cli("delete", "k41", key="k40").returncode == 2
    assert shown(get(cluster, manifest, "k41")) == manifest["expected"]["k41"]
    # A value of the older release is no document: an edit is refused and changes nothing.
    refused = cluster.cli("--bucket", manifest["bucket"], "edit", "k41", "coupons add SUMMER")
    assert refused.returncode == 2 and "document" in refused.stderr
    assert shown(get(cluster, manifest, "k41")) == manifest["expected"]["k41"]
