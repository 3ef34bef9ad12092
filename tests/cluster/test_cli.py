"""What the command line client makes of conflicts, contexts and numbers, of wrong words, and of nodes that answer
nonsense. Its exit codes and its errors as JSON are an interface for scripts (docs/operations.md).
"""

import base64
import contextlib
import json
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import BIN, ROOT, free_ports, wait_for


def ringlet(*arguments, text=None):
    """Without a cluster: nothing may be sent."""
    return subprocess.run([str(BIN / "ringlet"), "--seeds", "127.0.0.1:9", "--timeout", "300", *arguments],
                          capture_output=True, text=True, timeout=30, input=text)


def error_of(said):
    """The one JSON object on standard error; nothing on standard output."""
    assert said.stdout == "" and said.stderr.count("\n") == 1, said
    error = json.loads(said.stderr)
    assert set(error) - {"write_id"} == {"code", "message", "exit", "maybe_applied"} and error["exit"] == said.returncode, error
    return error


def test_blind_puts_conflict_and_all_are_printed(cluster):
    for value in ("a", "b"):
        assert cluster.cli("put", "k", value).returncode == 0
    got = cluster.cli("get", "k")
    assert got.returncode == 3
    assert {line for line in got.stdout.splitlines() if line[0] != "#"} == {"a", "b"}


def test_r_and_w_are_numbers(cluster):
    assert cluster.cli("--w", "3", "put", "k", "v").returncode == 0
    assert cluster.cli("--r", "3", "get", "k").stdout == "v\n"


def test_kill_one_node_and_go_on(cluster):
    cluster.nodes[0].kill()
    for i in range(5):
        put = cluster.cli("put", f"k{i}", "v")
        assert put.returncode == 0, put.stderr
        assert cluster.cli("get", f"k{i}").stdout == "v\n"


# ---- delete ----


def test_delete_deletes_what_it_reads(cluster):
    """Without a context it once deleted nothing, left a delete beside the value, and said nothing."""
    assert cluster.cli("put", "k", "v").returncode == 0
    said = cluster.cli("delete", "k")
    assert (said.returncode, said.stdout, said.stderr) == (0, "deleted 1 version\n", "")
    assert cluster.cli("get", "k").returncode == 1
    for value in ("a", "b", "c"):
        assert cluster.cli("put", "k", value).returncode == 0
    answer = cluster.json("delete", "k")
    assert (answer["replaced"], answer["remain"]) == (3, 0)
    assert cluster.cli("get", "k").returncode == 1


def test_delete_of_a_missing_key_writes_nothing(cluster):
    said = cluster.cli("delete", "k")
    assert said.returncode == 1 and "no such key" in said.stderr
    error = error_of(cluster.cli("--output", "json", "delete", "k"))
    assert (error["code"], error["exit"], error["maybe_applied"]) == ("not_found", 1, False)
    assert cluster.json("put", "k", "v")["siblings"] == 1, "no delete stands beside it"


def test_delete_with_a_context_leaves_what_it_has_not_seen(cluster, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    every = ("--w", "3")  # whichever node makes the delete has met both values
    assert cluster.cli(*every, "put", "k", "a", "--context-out", str(old)).returncode == 0
    assert cluster.cli(*every, "put", "k", "b").returncode == 0
    said = cluster.cli(*every, "delete", "k", "--context", str(old))
    assert said.returncode == 0
    assert said.stdout == "deleted what the context has seen; 1 version that it has not seen remain\n"
    assert "b" in cluster.cli("get", "k", "--context-out", str(new)).stdout
    text = base64.b64encode(new.read_bytes()).decode()
    answer = cluster.json("delete", "k", "--context-text", text)
    assert answer["replaced"] is None and answer["remain"] == 0
    assert cluster.cli("get", "k").returncode == 1


def test_a_blind_delete_is_asked_for_by_name(cluster):
    assert cluster.cli("--w", "3", "put", "k", "v").returncode == 0
    answer = cluster.json("--w", "3", "delete", "k", "--blind")
    assert (answer["replaced"], answer["remain"]) == (0, 1)
    assert "v" in cluster.cli("get", "k").stdout


# ---- deletes beside writes, repetitions ----


def test_m_1_a_delete_beside_a_put_is_no_conflict_unless_asked_for(cluster):
    """M-1, M-2: a tombstone beside a living version was a conflict here, exit code 3 and both printed."""
    every = ("--w", "3", "--r", "3")
    assert cluster.cli(*every, "put", "k", "v").returncode == 0
    assert cluster.cli(*every, "delete", "k", "--blind").returncode == 0
    got = cluster.cli(*every, "get", "k")
    assert (got.returncode, got.stdout) == (0, "v\n")
    assert [s["deleted"] for s in cluster.json(*every, "get", "k")["siblings"]] == [False]
    won = cluster.cli(*every, "get", "k", "--deletes", "win")
    assert won.returncode == 1 and "no such key" in won.stderr
    asked = cluster.cli(*every, "get", "k", "--deletes", "ask")
    assert asked.returncode == 3 and "deleted" in asked.stdout and "v" in asked.stdout
    wrong = cluster.cli("get", "k", "--deletes", "perhaps")
    assert wrong.returncode == 2 and "perhaps" in wrong.stderr and "lose" in wrong.stderr


def test_m_1_equal_values_are_shown_as_one(cluster):
    for _ in range(2):
        assert cluster.cli("--w", "3", "put", "k", "same").returncode == 0
    got = cluster.cli("--r", "3", "get", "k")
    assert (got.returncode, got.stdout) == (0, "same\n")


def test_m_14_a_put_repeated_under_its_write_id_is_one_version(cluster):
    name = "0123456789abcdef" * 2
    for _ in range(3):
        answer = cluster.json("--w", "3", "put", "k", "v", "--write-id", name)
        assert (answer["siblings"], answer["write_id"]) == (1, name)
    assert cluster.cli("--r", "3", "put", "k", "other").returncode == 0
    assert cluster.cli("--r", "3", "get", "k").stdout.count("# ") == 2
    for wrong in ("0" * 32, "12", "g" * 32, "+" + "1" * 31):
        said = cluster.cli("put", "k", "v", "--write-id", wrong)
        assert said.returncode == 2 and wrong in said.stderr and "32 hexadecimal" in said.stderr


# ---- wrong words ----


# ---- documents ----


def test_documents_are_edited_and_printed(cluster):
    assert cluster.cli("get", "--document", "cart").returncode == 1
    edited = cluster.cli("edit", "cart", "items/tea += 2", "coupons add SUMMER", "gift enable", "note = ring twice")
    assert (edited.returncode, edited.stderr) == (0, ""), edited
    assert cluster.cli("edit", "cart", "items/tea += 3", "coupons remove SUMMER", "coupons add 5").returncode == 0
    got = cluster.cli("get", "--document", "cart")
    assert got.returncode == 0
    assert json.loads(got.stdout) == {"coupons": [5], "gift": True, "items": {"tea": 5}, "note": "ring twice"}


def test_an_edit_repeated_under_its_write_id_counts_once(cluster):
    for _ in range(2):
        assert cluster.cli("edit", "k", "n += 1", "--write-id", "0123456789abcdef0123456789abcdef").returncode == 0
    assert json.loads(cluster.cli("get", "--document", "k").stdout) == {"n": 1}


def test_edits_that_do_not_fit_say_what_was_wanted_and_write_nothing(cluster):
    assert cluster.cli("edit", "k", "items/tea += 1").returncode == 0
    for words, edit, code in (
        ("wanted a set at items/tea, got a counter", "items/tea add x", 2),
        ("wanted a sum of 64 bits, got 1 + ", "items/tea += 9223372036854775807", 2),
        ("wanted a field there, got nothing", "items/milk erase", 2),
        ("wanted +=, -=, =", "items/tea *= 2", 2),
        ("wanted 1 to 1024 bytes, got 0", "items//tea enable", 2),
    ):
        said = cluster.cli("edit", "k", edit)
        assert words in said.stderr and said.returncode == code, said
    assert json.loads(cluster.cli("get", "--document", "k").stdout) == {"items": {"tea": 1}}
    assert cluster.cli("put", "plain", "v").returncode == 0
    for arguments in (("edit", "plain", "gift enable"), ("get", "--document", "plain")):
        said = cluster.cli(*arguments)
        assert "wanted a document" in said.stderr and said.returncode == 2, said


@pytest.mark.parametrize(("words", "arguments"), [
    ("there is no verb \"frobnicate\"; there are get, put, delete", ["frobnicate"]),
    ("there is no verb \"frobnicate\"", ["frobnicate", "k", "--nonsense"]),
    ("there is no cluster verb \"frobnicate\"; there are join, leave", ["cluster", "frobnicate"]),
    ("wanted a verb: get", []),
    ("wanted a cluster verb: join", ["cluster"]),
    ("KEY", ["get"]),
    ("KEY: wanted at least one byte", ["get", ""]),
    ("KEY: wanted at least one byte", ["put", "", "v"]),
    ("KEY: wanted at least one byte", ["delete", ""]),
    ("KEY: wanted at least one byte", ["locate", ""]),
    ("not expected: b", ["get", "a", "b"]),
    ("--nonsense", ["--nonsense", "get", "k"]),
    ("--w", ["--w", "17", "put", "k", "v"]),
    ("--r", ["--r", "many", "get", "k"]),
    ("--r", ["--r", "1", "--r", "2", "get", "k"]),
    ("--timeout", ["--timeout", "0", "get", "k"]),
    ("--output", ["--output", "xml", "get", "k"]),
    ("--coordination", ["--coordination", "both", "get", "k"]),
    ("either VALUE or --file", ["put", "k"]),
    ("--file", ["put", "k", "v", "--file", "f"]),
    ("--context", ["put", "k", "v", "--context", "f", "--context-text", "AAAA"]),
    ("--blind", ["delete", "k", "--context", "f", "--blind"]),
    ("--blind", ["delete", "k", "--context-text", "AAAA", "--blind"]),
    ("--context-text: wanted a context, got none", ["delete", "k", "--context-text", ""]),
    ("--context: wanted a context, got none", ["put", "k", "v", "--context", ""]),
    ("--context-text: wanted base64", ["put", "k", "v", "--context-text", "%%"]),
    ("nowhere: cannot be read", ["put", "k", "--file", "nowhere"]),
    ("nowhere: cannot be read", ["delete", "k", "--context", "nowhere"]),
    ("standard input", ["put", "k", "-", "--context", "-"]),
    ("WEIGHT", ["cluster", "weight", "n1"]),
    ("WEIGHT", ["cluster", "weight", "n1", "0"]),
    ("WEIGHT", ["cluster", "weight", "n1", "1001"]),
    ("--weight", ["cluster", "replace", "n1", "n2", "h:1", "--weight", "2"]),
    ("not expected: n1", ["reap", "n1"]),
])
def test_wrong_arguments_are_named_and_nothing_is_sent(words, arguments):
    said = ringlet(*arguments, text="x" if "-" in arguments else None)
    assert said.returncode == 2 and words in said.stderr and said.stdout == "", said
    if arguments[:1] != ["--output"]:
        error = error_of(ringlet("--output", "json", *arguments, text="x" if "-" in arguments else None))
        assert error["exit"] == 2 and words in error["message"] and not error["maybe_applied"]


def test_an_empty_context_file_is_no_context(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    error = error_of(ringlet("--output", "json", "delete", "k", "--context", str(tmp_path / "empty")))
    assert (error["code"], error["exit"]) == ("invalid_context", 2)


def test_version_and_help():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    said = ringlet("--version")
    assert said.returncode == 0 and said.stdout.startswith("ringlet ") and said.stdout.split()[1] in cmake
    for arguments in ([], ["get"], ["cluster"], ["cluster", "join"]):
        said = ringlet(*arguments, "--help")
        assert said.returncode == 0 and said.stdout and said.stderr == ""
    assert "Exit codes:" in ringlet("--help").stdout


# ---- errors as JSON ----


def test_errors_are_json_when_answers_are(cluster):
    error = error_of(ringlet("--output", "json", "get", "k"))
    assert error["exit"] == 4 and error["code"] in ("timeout", "unavailable")
    error = error_of(ringlet("--output", "json", "status"))
    assert error["exit"] == 4
    error = error_of(cluster.cli("--output", "json", "delete", "k", "--context-text", "AAAA"))
    assert (error["code"], error["exit"]) == ("invalid_context", 2)
    error = error_of(cluster.cli("--output", "json", "cluster", "leave", "n9"))
    assert (error["code"], error["exit"]) == ("invalid_argument", 2) and "is not a member" in error["message"]
    missing = cluster.cli("--output", "json", "get", "k")
    assert missing.returncode == 1 and json.loads(missing.stdout)["siblings"] == [] and missing.stderr == ""


def test_output_that_cannot_be_written_is_no_success(cluster):
    assert cluster.cli("put", "k", "v").returncode == 0
    with open("/dev/full", "w") as full:
        said = subprocess.run([str(BIN / "ringlet"), "--seeds", cluster.seeds, "--cluster", "test", "get", "k"],
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert said.returncode == 5 and "cannot be written" in said.stderr


def test_a_conflict_that_could_not_be_printed_is_no_conflict_that_was(cluster):
    for value in ("a", "b"):
        assert cluster.cli("put", "k", value).returncode == 0
    with open("/dev/full", "w") as full:
        said = subprocess.run([str(BIN / "ringlet"), "--seeds", cluster.seeds, "--cluster", "test", "--output", "json",
                               "get", "k"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert said.returncode == 5 and json.loads(said.stderr)["exit"] == 5, said


def test_a_write_whose_answer_could_not_be_kept_is_said_to_be_done(cluster, tmp_path):
    """Or a script repeats it, and there are two versions."""
    json_of = [str(BIN / "ringlet"), "--seeds", cluster.seeds, "--cluster", "test", "--output", "json"]
    missing = str(tmp_path / "none" / "context")
    error = error_of(subprocess.run([*json_of, "put", "k", "a", "--context-out", missing], capture_output=True, text=True))
    assert (error["exit"], error["maybe_applied"]) == (5, False)
    assert cluster.cli("get", "k").returncode == 1  # it was refused before anything was written
    error = error_of(subprocess.run([*json_of, "get", "k", "--context-out", missing], capture_output=True, text=True))
    assert (error["exit"], error["maybe_applied"]) == (5, False)

    error = error_of(subprocess.run([*json_of, "put", "k", "a", "--context-out", "/dev/full"], capture_output=True, text=True))
    assert (error["exit"], error["maybe_applied"]) == (5, True) and "is done" in error["message"]
    again = cluster.cli("put", "k", "a", "--write-id", error["write_id"])
    assert again.returncode == 0 and cluster.cli("get", "k").returncode == 0
    with open("/dev/full", "w") as full:
        for arguments in (["put", "k2", "a"], ["edit", "k3", "n += 1"], ["delete", "k"]):
            said = subprocess.run([*json_of, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
            error = json.loads(said.stderr)
            assert said.returncode == 5 and error["maybe_applied"] and error["write_id"], said
        said = subprocess.run([*json_of, "cluster", "set", "w", "1"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        assert said.returncode == 5 and json.loads(said.stderr)["maybe_applied"], said


def test_a_plan_that_leaves_fewer_members_than_replicas_says_so(cluster):
    assert cluster.cli("cluster", "leave", "n2", "--node", "n1").returncode == 0
    plan = cluster.cli("cluster", "plan", "--node", "n1")
    assert plan.returncode == 0 and "N is 3, and 2 members stay: a key has 2 replicas then" in plan.stdout, plan
    assert cluster.cli("cluster", "clear", "--node", "n1").returncode == 0


def test_a_value_that_cannot_be_read_is_not_written(cluster, tmp_path):
    ringlet_ = f"{BIN}/ringlet --seeds {cluster.seeds} --cluster test --output json"
    for arguments in ("put k - <&-", f"put k - < {tmp_path}", f"put k --file {tmp_path}",
                      f"put k v --context {tmp_path}", "put k v --context - <&-"):
        said = subprocess.run(["sh", "-c", f"{ringlet_} {arguments}"], capture_output=True, text=True, timeout=30)
        assert said.returncode == 2 and "cannot be read" in error_of(said)["message"], (arguments, said)
    assert cluster.cli("get", "k").returncode == 1


def test_a_node_with_closed_standard_files_writes_its_log_nowhere(make_cluster):
    cluster = make_cluster(nodes=1, cluster="n = 1\nr = 1\nw = 1\n")
    node = cluster.nodes[0]
    node.around = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    node.start()
    assert cluster.cli("put", "k", "v").returncode == 0
    node.signal(signal.SIGUSR2)  # it says that it ignores it
    assert node.terminate() == 0
    for file in node.data.rglob("*"):
        assert not file.is_file() or b"[info]" not in file.read_bytes(), f"the log went into {file}"


# ---- what a seed is ----


class Place(threading.Thread):
    """A port at which no node listens: it takes connections, and answers each with `says`, or nothing."""

    def __init__(self, says=None):
        super().__init__(daemon=True)
        self.says, self.taken = says, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                self.taken.append(line)
                if self.says is not None:
                    line.recv(4096)
                    line.sendall(self.says)

    def close(self):
        self.listener.close()
        for line in self.taken:
            line.close()


VERBS = [("status",), ("ring",), ("locate", "k"), ("cluster", "status"), ("cluster", "leave", "n1"), ("repair",),
         ("cluster", "status", "--node", "n1"), ("reap", "--node", "n1")]


@pytest.mark.parametrize("what, words, code, final", [
    ("refused", "the connection was refused", "unavailable", False),
    ("silent", "said nothing", "timeout", False),
    ("http", "HTTP is spoken there", "unavailable", True),
    ("unknown", "no address is known for the name", "unavailable", True),
])
def test_every_verb_says_what_is_wrong_with_a_seed(what, words, code, final):
    place = Place({"http": b"HTTP/1.1 400 Bad Request\r\n\r\n"}.get(what)) if what in ("silent", "http") else None
    seed = place.address if place else {"refused": f"127.0.0.1:{free_ports(1)[0]}", "unknown": "nowhere.invalid:74"}[what]
    try:
        for verb in VERBS:
            began = time.monotonic()
            error = error_of(subprocess.run([str(BIN / "ringlet"), "--seeds", seed, "--timeout", "3000", "--output", "json",
                                             *verb], capture_output=True, text=True, timeout=30))
            assert (error["code"], error["exit"]) == (code, 4), (verb, error)
            assert words in error["message"] and seed in error["message"], (verb, error)
            assert not final or time.monotonic() - began < 2.5, verb
    finally:
        if place:
            place.close()


def test_every_verb_goes_on_to_the_next_seed(cluster):
    silent = Place()
    try:
        for bad in (silent.address, f"127.0.0.1:{free_ports(1)[0]}", "nowhere.invalid:74"):
            for verb in VERBS:
                said = subprocess.run([str(BIN / "ringlet"), "--seeds", f"{bad},{cluster.nodes[0].address}", "--cluster",
                                       "test", "--timeout", "4000", *verb], capture_output=True, text=True, timeout=30)
                assert said.returncode == 0, (bad, verb, said)
                if verb[:2] == ("cluster", "leave"):
                    cluster.tell("clear")
    finally:
        silent.close()


# ---- weight and reap ----


def test_a_weight_is_staged_planned_and_committed(make_cluster):
    # One copy of each key: three members that hold three copies each have everything, whatever they weigh.
    cluster = make_cluster(nodes=3, cluster="partitions = 32\nn = 1\nr = 1\nw = 1\n").start()
    assert "weight" in cluster.tell("weight", "n1", "3")
    assert cluster.json("cluster", "plan", "--node", "n1")["moves"]
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n3"])
    ring = {m["name"]: m for m in cluster.json("ring")["members"]}
    assert ring["n1"]["weight"] == 3 and ring["n1"]["partitions"] > ring["n2"]["partitions"]
    assert "is not a member" in cluster.tell("weight", "n9", "2", fails=2)


def test_reap_looks_for_tombstones_now(make_cluster):
    cluster = make_cluster(nodes=3, cluster="partitions = 8\n",
                           more="[upkeep]\ntombstone_grace_ms = 1\ntombstone_ms = 86400000\n").start()
    assert cluster.cli("put", "k", "v", "--w", "3").returncode == 0
    assert cluster.cli("delete", "k", "--w", "3").returncode == 0
    for node in ("n1", "n2", "n3"):
        said = cluster.cli("reap", "--node", node)
        assert said.returncode == 0 and "tombstones" in said.stdout, said
    assert cluster.cli("reap", "--node", "n9").returncode == 2


# ---- nodes that answer nonsense, and nodes that serve nobody ----


class Liar(threading.Thread):
    """Between everybody and one node: it replaces bytes of what the node says by as many others."""

    def __init__(self, listen, node):
        super().__init__(daemon=True)
        self.node, self.lies, self.lines, self.pumps = node, {}, [], []
        self.listener = socket.create_server(("127.0.0.1", int(listen.rsplit(":", 1)[1])))

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", int(self.node.rsplit(":", 1)[1])))
            except OSError:
                near.close()
                continue
            self.lines += [near, far]
            for source, sink, lie in ((near, far, False), (far, near, True)):
                self.pumps.append(threading.Thread(target=self.pump, args=(source, sink, lie), daemon=True))
                self.pumps[-1].start()

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for pump in self.pumps:
            pump.join()
        for line in [*self.lines, self.listener]:
            line.close()

    def pump(self, source, sink, lie):
        try:
            while data := source.recv(1 << 20):
                for what, other in self.lies.items() if lie else ():
                    assert len(what) == len(other), (what, other)
                    data = data.replace(what, other)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def liar(make_cluster):
    """A cluster whose n2 is heard through a Liar."""
    cluster = make_cluster(nodes=3)
    n2, real = cluster.node("n2"), f"127.0.0.1:{free_ports(1)[0]}"
    n2.config.write_text(n2.config.read_text().replace(f'listen = "{n2.address}"', f'listen = "{real}"'))
    liar = Liar(n2.address, real)
    liar.start()
    cluster.start()
    yield cluster, liar.lies
    liar.end()


def test_status_survives_an_answer_that_lacks_a_field(liar):
    cluster, lies = liar
    for what, other in ((b'"hints":', b'"hintz":'), (b'"memory":{', b'"memory":['), (b'"down":[]', b'"down":{}'),
                        (b'"resident":', b'"resodent":'), (b'"gets":', b'"gets" ')):
        lies.clear()
        lies[what] = other
        said = cluster.cli("status")
        assert said.returncode in (0, 5), said
        assert [line.split()[0] for line in said.stdout.splitlines()] == ["n1", "n2", "n3"], said
        as_json = cluster.cli("--output", "json", "status")
        assert as_json.returncode == said.returncode and len(json.loads(as_json.stdout)) == 3


def test_an_answer_that_is_no_json_is_a_sentence(liar):
    cluster, lies = liar
    for other in (b'[[[[[[[[[', b'"node":{{', b'\x00\xff\x1b[31m\n{}', b'{}{}{}{}{'):
        lies.clear()
        lies[b'{"node":"'] = other[:9].ljust(9, b" ")
        said = cluster.cli("status")
        assert said.returncode == 5, said
        line = next(line for line in said.stdout.splitlines() if line.startswith("n2"))
        assert "wanted a JSON object" in line and "\x1b" not in line
        entry = json.loads(cluster.cli("--output", "json", "status").stdout)[1]
        assert entry["node"] == "n2" and entry["code"] == "internal"


def test_what_a_node_says_is_one_line_without_orders_to_a_terminal(liar):
    cluster, lies = liar
    lies[b"belongs"] = b"\x1b[31m\nb"
    said = subprocess.run([str(BIN / "ringlet"), "--seeds", cluster.node("n2").address, "--cluster", "other", "get", "k"],
                          capture_output=True, text=True, timeout=30)
    assert said.returncode == 4 and "\\x1b[31m\\x0ab to cluster" in said.stderr, said
    assert "\x1b" not in said.stderr and said.stderr.count("\n") == 1


def test_cluster_verbs_survive_nonsense(liar):
    cluster, lies = liar
    for what, other in ((b'"members":[{', b'"members":[7'), (b'"name":"n1"', b'"name":1111'), (b'"idle":true', b'"idle":null'),
                        (b'"owns":', b'"owms":'), (b'{"message":', b'["message":'), (b'{"message":', b'{"massage":')):
        lies.clear()
        lies[what] = other
        for arguments in (["cluster", "status"], ["repair"], ["cluster", "clear"]):
            said = cluster.cli(*arguments, "--node", "n2")
            assert said.returncode in (0, 5), (what, arguments, said)
            assert "error of the program" not in said.stderr
            if said.returncode == 5:
                assert "wanted a JSON object" in said.stderr


def test_a_node_that_serves_nobody_is_not_a_success(make_cluster):
    cluster = make_cluster(nodes=3, strangers=1).start()

    def at(node, *arguments):
        return subprocess.run([str(BIN / "ringlet"), "--seeds", node.address, "--cluster", "test", "--timeout", "3000",
                               *arguments], capture_output=True, text=True, timeout=30)

    n3, n4 = cluster.node("n3"), cluster.node("n4")
    for verb in (["status"], ["cluster", "status"], ["cluster", "status", "--node", n4.address]):
        assert at(n4, *verb).returncode == 4, "a stranger"
    assert at(n3, "status").returncode == 0 and at(n3, "cluster", "status").returncode == 0
    n3.kill()
    cluster.tell("replace", "n3", "n4", n4.address)
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n4"])
    n3.start()

    def silent_about_it():
        said = at(n3, "cluster", "status", "--node", n3.address)
        return "" if said.returncode == 4 and "was replaced" in said.stdout else said

    wait_for("n3 knows that it was replaced", silent_about_it, 20)
    said = at(n3, "status")
    assert said.returncode == 4 and "serves nobody" in said.stdout, said
    assert cluster.cli("cluster", "status", "--node", "n1").returncode == 0
    answer = json.loads(at(n3, "--output", "json", "cluster", "status", "--node", n3.address).stdout)
    assert answer["out"]
    # And one that left.
    n2 = cluster.node("n2")
    cluster.tell("leave", "n2")
    cluster.tell("commit")

    def still_serves():
        said = at(n2, "cluster", "status", "--node", n2.address)
        return "" if said.returncode == 4 and "has left" in said.stdout else said

    wait_for("n2 has left", still_serves, 60)
