"""Threads, garbage, signals, fork and the end of the interpreter."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

import ringlet
from ringlet import resolvers


def run_python(code: str, seconds: float = 20.0, **more) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(Path(ringlet.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environment,
        **more,
    )


# A listener that takes connections and never says a word.
SILENT = """
import signal, socket, sys, threading, time, ringlet
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
silent = socket.socket(); silent.bind(("127.0.0.1", 0)); silent.listen()
client = ringlet.connect(f"127.0.0.1:{silent.getsockname()[1]}", timeout=30.0)
bucket = client.bucket("b")
"""


def test_eight_threads_lose_no_add(cluster, name):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    failures = []

    def shop(number):
        try:
            for count in range(25):
                carts.update("cart", lambda items: sorted({*(items or []), f"{number}.{count}"}))
                carts.get("cart")
        except BaseException as error:
            failures.append(error)

    try:
        with cluster.connect(timeout=20.0, update_attempts=100) as client:
            carts = client.bucket(name, codec=ringlet.Json, resolver=resolvers.union())
            threads = [threading.Thread(target=shop, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found = carts.get("cart").resolved(resolvers.union())
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert set(found) == {f"{number}.{count}" for number in range(8) for count in range(25)}


@pytest.mark.parametrize("closes", ["edit", "resolver"])
def test_close_inside_an_edit_or_a_resolver_is_refused_at_once(cluster, name, closes):
    client = cluster.connect(timeout=5.0)
    took = []

    def close():
        begin = time.monotonic()
        try:
            with pytest.raises(ringlet.UsageError, match="inside an edit or a resolver") as raised:
                client.close()
            assert raised.value.status == ringlet.Status.BUSY
        finally:
            took.append(time.monotonic() - begin)

    def edit(value):
        if closes == "edit":
            close()
        return b"edited"

    def resolve(versions):
        if closes == "resolver":
            close()
        return b"merged"

    bucket = client.bucket(name, resolver=resolve)
    bucket.put("k", b"one")
    bucket.put("k", b"two")
    bucket.update("k", edit)
    assert len(took) == 1 and took[0] < 0.5
    # Nothing was closed, and outside it is no longer refused.
    assert bucket.get("k").value == b"edited"
    client.close()
    with pytest.raises(ringlet.ClientClosed):
        bucket.get("k")


def test_close_while_eight_threads_call(cluster, name):
    for _ in range(3):
        client = cluster.connect(timeout=10.0)
        bucket = client.bucket(name)
        outcomes = []

        def call():
            try:
                while True:
                    bucket.put("k", b"v", bucket.get("k"))
            except ringlet.RingletError as error:
                outcomes.append(type(error))

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        client.close(drain=0.1)
        client.close()
        for thread in threads:
            thread.join(10)
        assert outcomes == [ringlet.ClientClosed] * 8
        with pytest.raises(ringlet.ClientClosed, match="closed"):
            bucket.get("k")


def test_garbage_collection_at_every_step(client, name):
    bucket = client.bucket(name, codec=ringlet.Json, resolver=resolvers.union())
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(30):
            bucket.put("k", [number])
            bucket.update("k", lambda items: items + ["x"])
            with pytest.raises(ZeroDivisionError):
                bucket.update("k", lambda items: 1 // 0)
    finally:
        gc.set_threshold(*threshold)
    assert set(bucket.get("k").value) == {*range(30), "x"}


def test_handles_do_not_pile_up(client, name):
    from ringlet import _core

    bucket = client.bucket(name, codec=ringlet.Text)

    def work(times):
        for _ in range(times):
            bucket.update("k", lambda v: "v")
            bucket.get("k").siblings[0].value
            with pytest.raises(ringlet.UsageError):
                bucket.get("")
        gc.collect()

    work(5)
    before = _core.has("debug.live_handles")
    work(200)
    assert abs(_core.has("debug.live_handles") - before) <= 2


def test_an_open_client_that_is_dropped_warns(cluster):
    client = cluster.connect()
    with pytest.warns(ResourceWarning, match="unclosed <ringlet.Client"):
        del client
        gc.collect()


def test_a_closed_client_does_not_warn(cluster):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with cluster.connect() as client:
            pass
        del client
        gc.collect()


@pytest.mark.parametrize(
    "call",
    [
        "bucket.get('k')",
        "bucket.put('k', b'v')",
        "bucket.update('k', lambda v: b'v')",
        "bucket.get_many(['a', 'b'])",
    ],
)
def test_ctrl_c_ends_a_waiting_call_within_200_ms(call):
    code = (
        SILENT
        + f"""
import os, signal
kill = lambda: (marks.append(time.monotonic()), os.kill(os.getpid(), signal.SIGINT))
threading.Timer(0.3, kill).start()
marks = []
try:
    {call}
except KeyboardInterrupt:
    took = time.monotonic() - marks[0]
    client.close(0)
    print("interrupted" if took < 0.2 else f"slow: {{took}}")
"""
    )
    done = run_python(code)
    assert done.stdout == "interrupted\n", done.stdout + done.stderr


def test_a_signal_handler_runs_while_a_call_waits_and_the_call_goes_on(cluster):
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    try:
        with ringlet.connect("127.0.0.1:1", timeout=0.8) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(ringlet.TransientError):
                client.bucket("b").get("k")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert len(seen) == 1


def test_fork_is_detected_explained_and_harmless(cluster, name):
    with cluster.connect(timeout=5.0) as client:
        bucket = client.bucket(name)
        bucket.put("k", b"v")
        parent = os.getpid()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    bucket.get("k")
                except ringlet.ClientForked as error:
                    said = str(error)
                client.close()
                with ringlet.connect(cluster.seeds, timeout=5.0) as mine:
                    value = bytes(mine.bucket(name).get("k").value).decode()
                os.write(write, f"{said}|{value}".encode())
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        said = os.read(read, 1000).decode()
        os.close(read)
        assert os.waitpid(child, 0)[1] == 0
        assert said == f"opened in pid {parent}, used in pid {child}: open it after fork|v"
        assert bytes(bucket.get("k").value) == b"v"


@pytest.mark.parametrize(
    ("ending", "status"), [("sys.exit(7)", 7), ("raise SystemExit(7)", 7), ("", 0)]
)
def test_the_interpreter_ends_with_calls_in_flight_in_daemon_threads(ending, status):
    code = (
        SILENT
        + f"""
for _ in range(4):
    threading.Thread(target=lambda: bucket.get("k"), daemon=True).start()
time.sleep(0.2)
{ending}
"""
    )
    start = time.monotonic()
    done = run_python(code)
    assert done.returncode == status, done.stderr
    assert done.stderr == ""  # daemon threads end without a word
    assert time.monotonic() - start < 5


def test_the_interpreter_ends_with_a_cluster_left_open():
    code = """
import sys, threading, time, ringlet
cluster = ringlet.local_cluster()
bucket = cluster.connect(timeout=5.0).bucket("b")
def work():
    while True: bucket.put("k", b"v", bucket.get("k"))
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
sys.exit(3)
"""
    done = run_python(code)
    assert done.returncode == 3, done.stderr
    assert "Fatal" not in done.stderr and "terminate" not in done.stderr


def test_use_at_exit_works_or_says_closed():
    code = """
import atexit, ringlet
cluster = ringlet.local_cluster()
client = cluster.connect(timeout=5.0)
def late():
    try: client.bucket("b").get("k"); print("worked")
    except ringlet.ClientClosed: print("closed")
    cluster.close()
atexit.register(late)
"""
    done = run_python(code)
    assert done.returncode == 0 and done.stdout in ("worked\n", "closed\n"), done.stderr


def test_log_records_reach_logging(caplog):
    with caplog.at_level(logging.DEBUG, logger="ringlet"):
        with ringlet.connect("127.0.0.1:1", timeout=0.3, log_level="debug") as client:
            with pytest.raises(ringlet.TransientError):
                client.bucket("b").get("k")
    assert any(record.name.startswith("ringlet.") for record in caplog.records)
