"""Every scenario of this folder through every language; `run.py --help` runs some of them by hand."""

import re

import pytest
import run

DESIGN = [f"M-{number}" for number in (1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 20, 22)]


@pytest.mark.parametrize("path", run.scenarios(), ids=lambda path: path.stem)
def test_scenario(path, runner):
    failures = runner.run(path)
    assert not failures, "\n".join(f"{path.stem}, {column}: {failure}" for column, failure in failures.items())


def test_there_are_scenarios_for_each_rule():
    covered = {rule for path in run.scenarios() for rule in run.read(path)["covers"]}
    assert len(run.scenarios()) >= 60
    assert not set(DESIGN) - covered


def test_scenarios_say_what_they_are_about():
    for path in run.scenarios():
        scenario = run.read(path)
        assert re.fullmatch(r"[A-Z].*[.]", scenario["about"]), path
        assert scenario["cluster"] in run.CLUSTERS, path
        # A scenario that expects nothing could not fail.
        assert any("expect" in step for step in scenario["step"]), path


class Answers:
    """A driver that gives the answers it was made with."""

    def __init__(self, *lines):
        self.lines = list(lines)

    def ask(self, line):
        pass

    def answer(self):
        return run.fields_of(self.lines.pop(0))


def judged(tmp_path, monkeypatch, steps, **answers):
    """The failures of a scenario whose columns answer so."""
    scenario = tmp_path / "made_up.toml"
    scenario.write_text(f'about = "Made up."\ncovers = []\ncluster = "one"\n{steps}')
    runner = run.Runner(tuple(answers))
    runner.drivers = {name: Answers(*lines) for name, lines in answers.items()}
    monkeypatch.setattr(runner, "usual_client", lambda language, cluster: "usual")
    failures = runner.run(scenario)
    runner.failed = False
    runner.stop = None
    run.shutil.rmtree(runner.directory)
    return failures


PUT = '[[step]]\ndo = "get"\n'
FIND = "status=OK context=x merged=1 left_out=0 version={}%2C%2Cd%2C0%2C0 is=value value={}"


def test_a_column_that_says_something_else_is_named(tmp_path, monkeypatch):
    failures = judged(tmp_path, monkeypatch, PUT, c=[FIND.format("a", "a")], cpp=[FIND.format("a", "a")],
                      java=[FIND.format("b", "b")])
    assert list(failures) == ["java"]
    assert failures["java"].startswith("step 1 (get): value is b'b', in c b'a'")


def test_what_all_say_wrongly_is_a_failure_of_all(tmp_path, monkeypatch):
    failures = judged(tmp_path, monkeypatch, PUT + 'expect = { value = "b" }\n', c=[FIND.format("a", "a")],
                      java=[FIND.format("a", "a")])
    assert failures == {name: "step 1 (get): value: wanted b'b', got b'a'" for name in ("c", "java")}


def test_a_status_that_was_not_expected_comes_with_its_message(tmp_path, monkeypatch):
    failures = judged(tmp_path, monkeypatch, PUT, c=["status=TIMEOUT message=too%20late maybe=0 retryable=1"])
    assert failures == {"c": "step 1 (get): status: wanted OK, got TIMEOUT: too late"}


def test_answers_that_agree_are_no_failure(tmp_path, monkeypatch):
    assert judged(tmp_path, monkeypatch, PUT + 'expect = { value = "a", count = 1 }\n', c=[FIND.format("a", "a")],
                  java=[FIND.format("a", "a")]) == {}
