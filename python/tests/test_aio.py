"""ringlet.aio: the calls of the blocking surface, awaited; cancelling, pacing, closing, and the wrong loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import pytest

import ringlet
import ringlet.aio
from ringlet.document import Counter, Map, Set

PACKAGE = Path(ringlet.__file__).parent
CART = Map(items=Map(of=Counter), coupons=Set)


def loops():
    try:
        import uvloop
    except ImportError:
        return [pytest.param(asyncio.new_event_loop, id="asyncio")]
    return [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ]


@pytest.fixture(params=loops())
def run(request):
    """Runs a coroutine on a new loop, in debug mode where that is cheap enough."""

    def runs(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(coroutine, 120))

    return runs


def union(siblings):
    return sorted(set().union(*(sibling.value for sibling in siblings)))


async def eventually(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come about within 5 s")


# ---- the surface ----


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ringlet.aio.Bucket, ringlet.Bucket),
        (ringlet.aio.Client, ringlet.Client),
    ],
)
def test_each_call_has_the_arguments_of_the_blocking_one(ours, theirs):
    names = {name for name in dir(theirs) if not name.startswith("_")}
    assert {name for name in dir(ours) if not name.startswith("_")} == names
    for name in names:
        if not inspect.isfunction(getattr(theirs, name)):
            continue
        parameters = inspect.signature(getattr(ours, name)).parameters
        wanted = inspect.signature(getattr(theirs, name)).parameters
        assert list(parameters) == list(wanted), name
        for one, other in zip(parameters.values(), wanted.values(), strict=True):
            assert (one.kind, one.default) == (other.kind, other.default), (name, one)
        assert getattr(ours, name).__doc__, name
    assert list(inspect.signature(ringlet.aio.connect).parameters) == list(
        inspect.signature(ringlet.connect).parameters
    )


def test_a_program_is_typed(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not in this environment")
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        from collections.abc import Sequence
        import ringlet
        import ringlet.aio

        async def longest(siblings: Sequence[ringlet.Sibling[str]]) -> str:
            return max((sibling.value for sibling in siblings), key=len)

        async def main() -> None:
            async with ringlet.aio.connect() as client:
                texts = client.bucket("t", codec=ringlet.Text, resolver=longest)
                reveal_type(texts)
                reveal_type((await texts.get("k")).value)
                await texts.update("k", lambda old: (old or "") + "x")
                await texts.update("k", longest_of, resolver=longest)
                reveal_type(texts.with_(r=1))
                await texts.put("k", 1)

        async def longest_of(old: str | None) -> str:
            return old or ""
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=PACKAGE.parent,
    )
    revealed = [line for line in done.stdout.splitlines() if "Revealed" in line]
    assert len(revealed) == 3 and '"ringlet.aio.Bucket[str]"' in revealed[0], done.stdout
    assert '"str"' in revealed[1] or '"builtins.str"' in revealed[1], done.stdout
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1 and "put" in errors[0] and '"int"' in errors[0], done.stdout


def test_importing_ringlet_does_not_load_asyncio():
    code = "import sys, ringlet; assert 'asyncio' not in sys.modules; ringlet.aio.connect"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )


def test_reads_and_writes(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            texts = client.bucket(name, codec=ringlet.Text)
            assert not await texts.get("k")
            written = await texts.put("k", "one")
            assert (await texts.get("k")).value == "one"
            await texts.put("k", "two", written)
            await texts.put("k", "three")
            found = await texts.get("k")
            assert sorted(sibling.value for sibling in found.siblings) == ["three", "two"]
            with pytest.raises(ringlet.ConflictError):
                found.value  # noqa: B018
            gone = await texts.delete("k", found)
            assert not gone and gone.context and not await texts.get("k")
            many = await texts.get_many(["k", "other", ""], r=1)
            assert not many["k"] and not many["other"]
            assert type(many.errors[""]) is ringlet.UsageError and many.errors[""].key == ""
            assert await texts.get_many([]) == {}
            assert client.counters()["gets"] >= 6
            assert (await client.admin("ring"))["partitions"]
            with pytest.raises(ringlet.UsageError):
                await client.admin("nosuch")

    run(main())


def test_documents(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            carts = client.bucket(name, codec=CART)
            await carts.edit("k", lambda cart: cart["items"]["tea"].increment(2))
            async with carts.editing("k") as cart:
                cart["items"]["tea"] += 1
                cart["coupons"].add("SUMMER")
            with pytest.raises(ZeroDivisionError):
                async with carts.editing("k") as cart:
                    cart["coupons"].add("NEVER")
                    1 / 0  # noqa: B018
            assert (await carts.get("k")).value == {"items": {"tea": 3}, "coupons": {"SUMMER"}}
            with pytest.raises(ringlet.UsageError, match="document.Map"):
                await client.bucket(name).edit("k", lambda cart: None)

    run(main())


def test_a_document_takes_old_values_over(run, cluster, client, name):
    client.bucket(name, codec=ringlet.Text).put("k", "milk")

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as opened:
            codec = CART.from_value(ringlet.Text, lambda text: {"coupons": {text}})
            carts = opened.bucket(name, codec=codec)
            await carts.edit("k", lambda cart: cart["coupons"].add("tea"))
            assert (await carts.get("k")).value["coupons"] == {"milk", "tea"}

            def fails(text):
                raise ZeroDivisionError

            client.bucket(name, codec=ringlet.Text).put("other", "milk")
            bad = opened.bucket(name, codec=CART.from_value(ringlet.Text, fails))
            with pytest.raises((ZeroDivisionError, ringlet.RingletError)):
                await bad.edit("other", lambda cart: cart["coupons"].add("tea"))

    run(main())


def test_errors_are_those_of_the_blocking_surface(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            raw = client.bucket(name)
            with pytest.raises(ringlet.TooLarge):
                await raw.put("k", b"x" * (9 << 20))
            with pytest.raises(TypeError, match="there is no call option 'timout'"):
                await raw.get("k", timout=1)
            with pytest.raises(TypeError, match="write_id"):
                await raw.get("k", write_id=bytes(16))
            written = await raw.put("k", b"x")
            with pytest.raises(ringlet.InvalidContext):
                await raw.put("other", b"x", written)
            with pytest.raises(TypeError, match="got None"):
                await raw.delete("k", None)
            with pytest.raises(TypeError, match="several keys"):
                await raw.get_many("keys")
            with pytest.raises(TypeError, match="made|makes one|got"):
                client.bucket(name, resolver=ringlet.resolvers.union)
        with pytest.raises(ringlet.OptionError):
            ringlet.aio.connect("nonsense")
        async with ringlet.aio.connect("127.0.0.1:1", timeout=0.3) as nowhere:
            with pytest.raises(ringlet.TransientError):
                await nowhere.bucket(name).get("k")

    run(main())


# ---- updates ----


async def later(value):
    await asyncio.sleep(0.001)
    return value


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("where", ["call", "bucket", "client"])
def test_updates_merge_and_edit(run, cluster, client, name, asynchronous, where):
    blocking = client.bucket(name, codec=ringlet.Json)
    for item in ("milk", "tea"):
        blocking.put("k", [item])
    resolver = (lambda siblings: later(union(siblings))) if asynchronous else union
    edits = []

    def edit(items):
        edits.append(items)
        if len(edits) == 1:  # somebody else, while the edit runs
            blocking.put("k", ["bread"])
        changed = [*items, "rye"]
        return later(changed) if asynchronous else changed

    async def main():
        of_client = {"resolver": resolver} if where == "client" else {}
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0, **of_client) as opened:
            of_bucket = {"resolver": resolver} if where == "bucket" else {}
            carts = opened.bucket(name, codec=ringlet.Json, **of_bucket)
            of_call = {"resolver": resolver} if where == "call" else {}
            done = await carts.update("k", edit, **of_call)
            assert done.merged and done.value == ["bread", "milk", "rye", "tea"]
            assert edits == [["milk", "tea"]]

    run(main())


def test_functions_run_in_the_task_that_called(run, cluster, name):
    who = contextvars.ContextVar("who", default="nobody")

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            raw = client.bucket(name)

            async def update(number):
                who.set(number)
                task = asyncio.current_task()

                async def edit(old):
                    await asyncio.sleep(0.01)
                    assert asyncio.current_task() is task and who.get() == number
                    assert threading.current_thread() is threading.main_thread()
                    return b"%d" % number

                return (await raw.update(f"k{number}", edit)).value

            found = await asyncio.gather(*(update(number) for number in range(20)))
            assert [bytes(value) for value in found] == [b"%d" % number for number in range(20)]

    run(main())


def test_updates_keep_delete_and_refuse_nothing(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            texts = client.bucket(name, codec=ringlet.Text)
            await texts.update("k", lambda old: later("one"))
            assert (await texts.update("k", lambda old: later(ringlet.Keep))).value == "one"
            with pytest.raises(ringlet.UsageError, match="returned None"):
                await texts.update("k", lambda old: later(None))
            with pytest.raises(TypeError, match="a function of the value"):
                await texts.update("k", later("x").close())
            assert not await texts.update("k", lambda old: later(ringlet.Delete()))
            for value in ("a", "b"):
                await texts.put("k", value)
            with pytest.raises(ringlet.ConflictError, match="resolver"):
                await texts.update("k", lambda old: "c")

    run(main())


class Broken(Exception):
    pass


def test_what_a_function_raises_leaves_the_update_as_it_is(run, cluster, client, name):
    blocking = client.bucket(name, codec=ringlet.Text)

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as opened:
            texts = opened.bucket(name, codec=ringlet.Text)
            broken = Broken()

            async def edit(old):
                await asyncio.sleep(0)
                raise broken

            with pytest.raises(Broken) as caught:
                await texts.update("k", edit)
            assert caught.value is broken and "applied=False" in broken.__notes__[0]
            assert not await texts.get("k")

            async def resolver(siblings):
                raise broken

            def with_a_rival(old):
                blocking.put("k", "rival")
                return "mine"

            with pytest.raises(Broken) as caught:
                await texts.update("k", with_a_rival, resolver=resolver)
            assert "applied=True" in caught.value.__notes__[-1]
            values = {sibling.value for sibling in (await texts.get("k")).siblings}
            assert values == {"mine", "rival"}
            await eventually(lambda: not opened._channel._sent)

    run(main())


def test_a_blocking_update_refuses_an_asynchronous_function(client, name):
    async def edit(old):
        return "x"

    with pytest.raises(ringlet.UsageError, match="edit is asynchronous.*ringlet.aio"):
        client.bucket(name, codec=ringlet.Text).update("k", edit)


def test_an_update_may_call_its_client(run, cluster, name):
    """More updates than there are places, each of which makes calls of its own while it has one."""

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            texts = client.bucket(name, codec=ringlet.Text)

            async def update(number):
                async def edit(old):
                    await texts.put(f"log{number}", "seen")
                    inner = await texts.update(f"inner{number}", lambda old: later("x"))
                    return inner.value + (await texts.get(f"log{number}")).value

                return (await texts.update(f"k{number}", edit)).value

            found = await asyncio.gather(*(update(number) for number in range(300)))
            assert found == ["xseen"] * 300

    run(main())


# ---- many at once ----


def test_ten_thousand_tasks(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=100.0) as client:
            raw = client.bucket(name)
            await raw.put("k", b"x" * 100)
            await client.admin("ring")  # the loop's executor is not what is counted
            before = threading.active_count()
            most = 0

            async def one():
                nonlocal most
                found = await raw.get("k")
                most = max(most, len(client._channel._sent))
                return len(found.value)

            found = await asyncio.gather(*(one() for _ in range(10_000)))
            assert found == [100] * 10_000
            assert most <= 256 and threading.active_count() == before
            many = await raw.get_many([f"k{number}" for number in range(3000)])
            assert len(many) == 3000 and not any(many.values())
            assert not client._channel._sent and not client._channel._waiting

    run(main())


def test_a_call_waits_for_its_turn_no_longer_than_its_deadline(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(
            cluster.seeds, timeout=10.0, max_in_flight=1
        ) as client:
            raw = client.bucket(name)
            free = asyncio.Event()
            begun = asyncio.Event()

            async def edit(old):
                begun.set()
                await free.wait()
                return b"x"

            update = asyncio.create_task(raw.update("k", edit))
            await begun.wait()
            began = time.monotonic()
            with pytest.raises(ringlet.Timeout, match="for its turn.*nothing was sent") as caught:
                await raw.put("other", b"y", timeout=0.2)
            assert 0.15 < time.monotonic() - began < 5
            assert not caught.value.maybe_applied and caught.value.retryable
            assert caught.value.key == "other"
            late = asyncio.create_task(raw.get("k", timeout=20.0))
            cancelled = asyncio.create_task(raw.put("other", b"y", timeout=20.0))
            await asyncio.sleep(0.05)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError) as gone:
                await cancelled
            told = ringlet.aio.outcome(gone.value)
            assert told is not None and not told.maybe_applied and "before it was sent" in str(told)
            free.set()
            assert bytes((await update).value) == b"x" and bytes((await late).value) == b"x"
            assert not await raw.get("other")

    run(main())


def test_a_loop_that_was_held_up_past_a_deadline_sees_the_end_of_the_update(run, cluster, name):
    """The question and the end come in one batch: the end must not be lost while the function runs."""

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=30.0) as client:
            raw = client.bucket(name)
            await raw.put("warm", b"x")
            edits = []

            def edit(old):
                edits.append(old)
                return b"x"

            update = asyncio.create_task(raw.update("k", edit, timeout=0.1))
            await asyncio.sleep(0)
            time.sleep(0.4)  # noqa: ASYNC251
            with pytest.raises(ringlet.Timeout):
                async with asyncio.timeout(20):
                    await update
            assert len(edits) <= 1 and not client._channel._sent

    run(main())


def test_a_node_killed_under_load(run, name):
    with ringlet.local_cluster(3) as cluster:

        async def main():
            async with ringlet.aio.connect(cluster.seeds, timeout=30.0) as client:
                carts = client.bucket(name, codec=CART)

                async def shopper(number):
                    for _ in range(5):
                        await carts.edit(f"k{number % 10}", lambda c: c["items"]["tea"].increment())

                async with asyncio.TaskGroup() as group:
                    for number in range(100):
                        group.create_task(shopper(number))
                    await asyncio.sleep(0.1)
                    await asyncio.to_thread(cluster.kill, 0)
                found = await carts.get_many([f"k{number}" for number in range(10)])
                assert [cart.value["items"]["tea"] for cart in found.values()] == [50] * 10

        run(main())


# ---- cancelling ----




def test_a_cancelled_task_cancels_its_call(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            raw = client.bucket(name)
            ends = asyncio.Event()

            async def edit(old):
                try:
                    await asyncio.sleep(60)
                finally:
                    ends.set()

            task = asyncio.create_task(raw.update("k", edit))
            await eventually(lambda: client._channel._sent)
            await asyncio.sleep(0.05)
            task.cancel("enough")
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert ends.is_set() and caught.value.args in (("enough",), ())
            told = ringlet.aio.outcome(caught.value)
            assert told is not None and told.status == ringlet.Status.CANCELLED
            assert told.maybe_applied is False and told.key == "k"
            assert "maybe_applied=False" in caught.value.__notes__[-1]
            assert not client._channel._sent  # the core has ended it, and is not asked again
            assert not await raw.get("k")

    run(main())


def test_a_timeout_of_asyncio_says_what_became_of_the_write(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            raw = client.bucket(name)
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.1):
                    await raw.update("k", lambda old: asyncio.sleep(60, b"never"))
            assert not isinstance(caught.value, ringlet.RingletError)
            told = ringlet.aio.outcome(caught.value)
            assert told is not None and not told.maybe_applied
            async with asyncio.timeout(10):
                await raw.put("k", b"x")
            assert ringlet.aio.outcome(ValueError()) is None

    run(main())


def test_writes_cancelled_at_every_moment(run, cluster, name):
    """Whatever the moment: what was not applied for certain is not there, and a repetition under the id that
    is told makes no second version.
    """

    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=30.0) as client:
            texts = client.bucket(name, codec=ringlet.Text)
            await texts.put("warm", "x")
            kinds = {"sure not": 0, "maybe": 0, "done": 0}
            for number in range(150):
                key = f"k{number}"
                task = asyncio.create_task(texts.put(key, "mine"))
                end = time.perf_counter() + number * 2e-5
                await asyncio.sleep(0)
                while time.perf_counter() < end and number % 3:
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError as error:
                    told = ringlet.aio.outcome(error)
                    if told is None:  # the task had not begun
                        continue
                    if told.maybe_applied:
                        kinds["maybe"] += 1
                        if told.write_id:
                            await texts.put(key, "mine", write_id=told.write_id)
                            assert len((await texts.get(key)).siblings) == 1
                    else:
                        kinds["sure not"] += 1
                        assert not await texts.get(key)
                else:
                    kinds["done"] += 1
                    assert (await texts.get(key)).value == "mine"
            assert kinds["maybe"] > 0, kinds
            assert not client._channel._sent

    run(main())


def test_a_task_group_ends_the_calls_of_its_other_tasks(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            raw = client.bucket(name)
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    for number in range(20):
                        group.create_task(
                            raw.update(f"k{number}", lambda old: asyncio.sleep(60, b"never"))
                        )

                    async def fails():
                        await asyncio.sleep(0.05)
                        raise Broken

                    group.create_task(fails())
            assert [type(error) for error in caught.value.exceptions] == [Broken]
            assert not client._channel._sent and not client._channel._waiting

    run(main())


def test_a_cancel_storm_leaves_nothing_behind(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            raw = client.bucket(name)
            tasks = [asyncio.create_task(raw.get(f"k{number}")) for number in range(1000)]
            tasks += [asyncio.create_task(raw.put(f"k{number}", b"x")) for number in range(1000)]
            tasks += [
                asyncio.create_task(raw.get_many([f"k{at}" for at in range(50)])) for _ in range(20)
            ]
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
                if id(task) % 3:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await eventually(lambda: not client._channel._sent and not client._channel._waiting)
            assert bytes((await raw.put("k", b"y")).value) == b"y"

    run(main())


def test_a_coroutine_that_is_closed_sends_no_more(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=30.0) as client:
            call = client.bucket(name).get("k")
            call.send(None)
            call.close()
            await eventually(lambda: not client._channel._sent)

    run(main())


# ---- closing ----


def test_close_waits_for_calls_and_refuses_new_ones(run, cluster, name):
    async def main():
        client = ringlet.aio.connect(cluster.seeds, timeout=30.0)
        raw = client.bucket(name)
        await raw.put("warm", b"x")
        update = asyncio.create_task(raw.update("k", lambda old: asyncio.sleep(0.2, b"x")))
        await eventually(lambda: client._channel._sent)
        closing = asyncio.create_task(client.close(10.0))
        await asyncio.sleep(0.05)
        with pytest.raises(ringlet.ClientClosed):
            await raw.get("k")
        again = asyncio.create_task(client.close())
        assert bytes((await update).value) == b"x"
        await closing
        await again
        await client.close()
        assert client.closed and "closed" in repr(client)
        with pytest.raises(ringlet.ClientClosed):
            async with client:
                pass
        with pytest.raises(ringlet.ClientClosed):
            await raw.get_many(["k"])
        with pytest.raises(ringlet.ClientClosed):
            await client.admin("ring")

    run(main())


def test_close_fails_what_does_not_end(run, cluster, name):
    async def main():
        client = ringlet.aio.connect(cluster.seeds, timeout=30.0, max_in_flight=2)
        raw = client.bucket(name)
        free = asyncio.Event()

        async def edit(old):
            await free.wait()
            return b"x"

        sent = [asyncio.create_task(raw.update(f"k{number}", edit)) for number in range(2)]
        waiting = [asyncio.create_task(raw.get("k")) for number in range(5)]
        await eventually(lambda: len(client._channel._waiting) == 5)
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await client.close(0.1)
        assert time.monotonic() - began < 5
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [ringlet.ClientClosed] * 5
        free.set()
        found = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(error) for error in found] == [ringlet.ClientClosed] * 2

    run(main())


def test_close_inside_an_edit_is_refused(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=30.0) as client:
            later_task = None

            async def edit(old):
                nonlocal later_task
                later_task = asyncio.create_task(after())
                with pytest.raises(ringlet.UsageError, match="inside an edit") as caught:
                    await client.close()
                assert caught.value.status == ringlet.Status.BUSY
                return b"x"

            ended = asyncio.Event()

            async def after():
                await ended.wait()
                await client.close()

            assert await client.bucket(name).update("k", edit)
            ended.set()
            await later_task  # it was started by the edit, and outlives it
            assert client.closed

    run(main())


def test_the_error_inside_the_block_is_the_one_that_is_shown(run, cluster):
    async def main():
        async with ringlet.aio.connect(cluster.seeds):
            raise Broken

    with pytest.raises(Broken):
        run(main())


def test_an_unclosed_client_warns_and_frees_its_descriptor(run, cluster, name):
    async def main():
        async def use():
            client = ringlet.aio.connect(cluster.seeds, timeout=10.0)
            await client.bucket(name).get("k")

        before = len(os.listdir("/proc/self/fd"))
        with pytest.warns(ResourceWarning, match="unclosed <ringlet.aio.Client of"):
            await use()
            gc.collect()
        await asyncio.sleep(0.05)
        gc.collect()
        await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)

    run(main())


def test_nothing_is_left_by_many_clients(run, cluster, name):
    async def main():
        async def use():
            async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
                await client.bucket(name).put("k", b"x")

        await use()
        files, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        for _ in range(20):
            await use()
        gc.collect()
        await eventually(lambda: len(os.listdir("/proc/self/fd")) <= files)
        assert len(os.listdir("/proc/self/task")) <= threads + 1

    run(main())


# ---- the wrong loop ----


def test_another_loop_is_refused(run, cluster, name):
    client = ringlet.aio.connect(cluster.seeds, timeout=10.0)
    raw = client.bucket(name)

    async def first():
        await raw.put("k", b"x")

        async def elsewhere():
            with pytest.raises(ringlet.UsageError, match="open a client in each loop"):
                await raw.get("k")
            with pytest.raises(ringlet.UsageError, match="open a client in each loop"):
                await client.close()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert await raw.get("k")

    async def second():
        with pytest.raises(ringlet.UsageError, match="open a client in each loop"):
            await raw.get("k")
        await client.close()  # its own loop is gone: this is all that can be done
        assert client.closed

    run(first())
    run(second())


def test_no_loop_is_refused(cluster, name):
    client = ringlet.aio.connect(cluster.seeds)
    call = client.bucket(name).get("k")
    with pytest.raises(ringlet.UsageError, match="running asyncio event loop"):
        call.send(None)
    asyncio.run(client.close())


def test_a_fork_is_refused(run, cluster, name):
    async def main():
        async with ringlet.aio.connect(cluster.seeds, timeout=10.0) as client:
            raw = client.bucket(name)
            await raw.put("k", b"x")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:
                status = 1
                try:
                    raw.get("k").send(None)
                except ringlet.ClientForked as error:
                    status = 0 if "open it after fork" in str(error) else 2
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
            assert await raw.get("k")

    run(main())


PROGRAM = """
import asyncio, signal, sys, ringlet, ringlet.aio
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
async def main():
    with ringlet.local_cluster(1) as cluster:
        async with ringlet.aio.connect(cluster.seeds, timeout=60.0) as client:
            raw = client.bucket("b")
            await raw.put("k", b"x")
            print("ready", flush=True)
            await raw.update("k", lambda old: asyncio.sleep(60, b"never"))
asyncio.run(main())
"""


def test_ctrl_c_ends_the_program():
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    try:
        assert started.stdout.readline() == "ready\n"
        time.sleep(0.1)
        began = time.monotonic()
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=30)
        assert time.monotonic() - began < 10
        assert "KeyboardInterrupt" in said and started.returncode != 0
        assert "never retrieved" not in said and "ResourceWarning" not in said
    finally:
        started.kill()
        started.wait()
