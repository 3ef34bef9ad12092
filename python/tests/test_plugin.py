"""The plug-in for pytest, as a project that has Ringlet installed meets it: each test runs a pytest of its own."""

from __future__ import annotations

import re
import time

import pytest

import ringlet
from ringlet import testing

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    # As the entry point of an installed Ringlet does; the tests here run from the source tree.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p ringlet.pytest_plugin -p no:cacheprovider")
    return pytester


def run(project: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    project.makepyfile(text)
    return project.runpytest_subprocess(*arguments)


def test_a_bucket_a_client_and_a_cluster(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest, ringlet

        def test_plain(ringlet_bucket, ringlet_cluster):
            assert len(ringlet_cluster) == 3
            ringlet_bucket.put("k", b"v")
            assert ringlet_bucket.get("k").value == b"v"

        def test_the_bucket_is_another_one(ringlet_bucket):
            assert not ringlet_bucket.get("k").siblings

        @pytest.mark.ringlet(nodes=5, n=3, r=2, w=2, codec=ringlet.Text, timeout=3.0, strict=True)
        class TestMarked:
            def test_of_the_class(self, ringlet_bucket, ringlet_cluster):
                assert len(ringlet_cluster) == 5
                ringlet_bucket.put("k", "text")
                assert ringlet_bucket.get("k").value == "text"

            @pytest.mark.ringlet(nodes=1, n=1, r=1, w=1)
            def test_the_inner_mark_wins(self, ringlet_bucket, ringlet_cluster):
                assert len(ringlet_cluster) == 1
                ringlet_bucket.put("k", "text")
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=4)


def test_a_failure_says_the_seed_that_repeats_it(project: pytest.Pytester) -> None:
    text = """
        def test_drawn(ringlet_seed):
            assert ringlet_seed % 1000 == -1, f"drew {ringlet_seed}"

        def test_without_a_seed():
            assert False
        """
    first = run(project, text)
    first.assert_outcomes(failed=2)
    said = re.findall(r"--ringlet-seed=(\d+) '(\S+)'", first.stdout.str())
    assert [name for _, name in said] == ["test_a_failure_says_the_seed_that_repeats_it.py::test_drawn"]
    drawn = re.findall(r"drew (\d+)", first.stdout.str())
    again = project.runpytest_subprocess(f"--ringlet-seed={said[0][0]}", said[0][1])
    again.assert_outcomes(failed=1)
    assert re.findall(r"drew (\d+)", again.stdout.str())[0] == drawn[0]
    other = project.runpytest_subprocess("--ringlet-seed=1", said[0][1])
    assert re.findall(r"drew (\d+)", other.stdout.str())[0] != drawn[0]


def test_a_laboratory_repeats_to_the_last_message(project: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.ringlet(nodes=5, n=3, r=1, w=1)
        def test_in_virtual_time(ringlet_lab):
            alice, bob = ringlet_lab.client("alice").bucket("b"), ringlet_lab.client("bob").bucket("b")
            with ringlet_lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
                alice.put("k", b"tea")
                bob.put("k", b"milk")
            assert ringlet_lab.settle()
            assert len(alice.get("k").siblings) == 1, f"trace {ringlet_lab.trace_hash}"
        """
    first = run(project, text)
    first.assert_outcomes(failed=1)
    seed = re.findall(r"--ringlet-seed=(\d+)", first.stdout.str())[0]
    traces = re.findall(r"trace (\w+)", first.stdout.str())
    again = project.runpytest_subprocess(f"--ringlet-seed={seed}")
    assert re.findall(r"trace (\w+)", again.stdout.str())[0] == traces[0]
    other = project.runpytest_subprocess("--ringlet-seed=1")
    assert re.findall(r"trace (\w+)", other.stdout.str())[0] != traces[0]


def test_faults_of_a_failed_test_are_told(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import time, pytest, ringlet

        @pytest.mark.ringlet(codec=ringlet.Text, timeout=3.0)
        def test_all_calls_succeed(ringlet_bucket, ringlet_nemesis):
            with ringlet_nemesis(pause=0.01, lasting=0.02) as nemesis:
                end = time.monotonic() + 1.5
                number = 0
                while time.monotonic() < end:
                    number += 1
                    ringlet_bucket.put(f"k{number}", "v")
            assert len(nemesis.done) > 3
            assert all(ringlet_bucket.get(f"k{i}").value == "v" for i in range(1, number + 1))

        def test_fails(ringlet_nemesis):
            with ringlet_nemesis("kill", pause=0.01, lasting=0.01) as nemesis:
                while not nemesis.done:
                    time.sleep(0.01)
            assert False
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines([r"faults made:", r"  \d+\.\d+ s: kill node [012] for \d+\.\d+ s"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@pytest.mark.ringlet(5)\ndef test(ringlet_cluster): pass", "wanted names only, got 5"),
        ("@pytest.mark.ringlet(nods=5)\ndef test(ringlet_cluster): pass", "nods"),
        ("@pytest.mark.ringlet(nodes=65)\ndef test(ringlet_cluster): pass", "wanted 1 to 64, got 65"),
        ("def test(ringlet_nemesis): ringlet_nemesis('meteor')", "got 'meteor'"),
    ],
)
def test_bad_marks(project: pytest.Pytester, text: str, words: str) -> None:
    result = run(project, "import pytest\n" + text)
    assert result.ret != 0
    assert words in result.stdout.str()


def test_a_bad_seed_is_refused(project: pytest.Pytester) -> None:
    result = run(project, "def test(): pass", "--ringlet-seed=-1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "wanted 0 to 2^63 - 1, got -1" in result.stderr.str()


def test_nemesis_of_one_seed_draws_the_same() -> None:
    drawn = []
    for _ in range(2):
        with ringlet.local_cluster(3) as cluster:
            nemesis = testing.Nemesis(cluster, 7, pause=0.005, lasting=0.005)
            with nemesis:
                while len(nemesis.done) < 8:
                    time.sleep(0.01)
            drawn.append([what.split(" s: ")[1] for what in nemesis.done[:8]])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("faults", "settings", "words"),
    [
        ((), {}, "got none"),
        (("kill",), {"pause": 0}, "pause: wanted seconds"),
        (("kill",), {"lasting": -1}, "lasting: wanted seconds"),
    ],
)
def test_bad_nemesis(
    cluster: ringlet.LocalCluster, faults: tuple[str, ...], settings: dict[str, float], words: str
) -> None:
    with pytest.raises(ringlet.UsageError, match=words):
        testing.Nemesis(cluster, 1, faults, **settings)
