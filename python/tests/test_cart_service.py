"""The example service, over HTTP: what it answers, a hundred requests at once, and a node killed among them."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from pathlib import Path

import pytest

import ringlet

pytest.importorskip("starlette", reason="starlette is not in this environment; ./dev setup")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not in this environment; ./dev setup")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cart_service" / "python"


async def ask(port, method, path, body=None, headers=()):
    """One request on a connection of its own: (status, JSON)."""
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
        lines += [f"Content-Length: {len(sent)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + sent)
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(answer)
    finally:
        writer.close()


def serve(monkeypatch, cluster, test):
    """Runs ``test(port)`` beside the service, on the same loop."""
    monkeypatch.setenv("RINGLET_SEEDS", cluster.seeds)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import service

    async def main():
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        server = uvicorn.Server(uvicorn.Config(service.app, log_level="warning", lifespan="on"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started:
                assert not serving.done(), serving
                await asyncio.sleep(0.01)
            await asyncio.wait_for(test(listening.getsockname()[1]), 100)
        finally:
            server.should_exit = True
            await serving
            listening.close()

    asyncio.run(main())


def test_carts_over_http(monkeypatch, cluster, name):
    async def test(port):
        cart = f"/carts/{name}"
        assert await ask(port, "GET", cart) == (200, {"items": {}, "coupons": []})
        added = await ask(port, "POST", f"{cart}/items", {"thing": "tea", "amount": 2})
        assert added == (200, {"items": {"tea": 2}, "coupons": []})
        await ask(port, "POST", f"{cart}/items", {"thing": "milk", "amount": 1})
        await ask(port, "POST", f"{cart}/coupons", {"code": "SUMMER"})
        gone = await ask(port, "DELETE", f"{cart}/items/tea")
        assert gone == (200, {"items": {"milk": 1}, "coupons": ["SUMMER"]})
        once = (f"Idempotency-Key: {secrets.token_hex(16)}",)
        for _ in range(3):
            status, found = await ask(
                port, "POST", f"{cart}/items", {"thing": "rye", "amount": 5}, once
            )
            assert status == 200
        assert (await ask(port, "GET", cart))[1]["items"] == {"milk": 1, "rye": 5}

    serve(monkeypatch, cluster, test)


def test_bad_requests_are_refused(monkeypatch, cluster, client, name):
    client.bucket("baskets", codec=ringlet.Text).put(f"{name}-text", "no document")

    async def test(port):
        items = f"/carts/{name}/items"
        for body, words in (
            (b"{", "wanted JSON"),
            ([], "an object of thing, amount"),
            ({"thing": "tea"}, "amount: wanted int"),
            ({"thing": "tea", "amount": True}, "amount: wanted int"),
            ({"thing": "", "amount": 1}, "thing: wanted str"),
            ({"thing": "tea", "amount": -1}, "wanted 1 to 1000000"),
            ({"thing": "tea", "amount": 1, "more": 1}, "an object of"),
        ):
            status, said = await ask(port, "POST", items, body)
            assert status == 400 and words in said["error"], (body, said)
        good = {"thing": "tea", "amount": 1}
        status, said = await ask(port, "POST", items, good, ("Idempotency-Key: x",))
        assert status == 400 and "32 hexadecimal digits" in said["error"]
        status, said = await ask(port, "POST", f"/carts/{name}-text/items", good)
        assert status in (400, 500) and said["maybe_applied"] is False
        status, said = await ask(port, "GET", f"/carts/{name}-text")
        assert status == 500 and said["error"]
        assert (await ask(port, "GET", f"/carts/{name}"))[1]["items"] == {}

    serve(monkeypatch, cluster, test)


def test_a_hundred_requests_at_once_while_a_node_is_killed(monkeypatch, name):
    """Each shopper adds ten times, repeats what failed under its key, and nothing is lost or counted twice."""
    with ringlet.local_cluster(3) as cluster:

        async def test(port):
            tries = done = 0
            some = asyncio.Event()

            async def shopper(number):
                nonlocal tries, done
                for _ in range(10):
                    once = (f"Idempotency-Key: {secrets.token_hex(16)}",)
                    status = 503
                    while status == 503:
                        tries += 1
                        status, said = await ask(
                            port,
                            "POST",
                            f"/carts/{name}-{number % 10}/items",
                            {"thing": "tea", "amount": 1},
                            once,
                        )
                    assert status == 200, said
                    done += 1
                    if done == 200:
                        some.set()

            async with asyncio.TaskGroup() as group:
                for number in range(100):
                    group.create_task(shopper(number))
                await some.wait()
                await asyncio.to_thread(cluster.kill, 1)
            for number in range(10):
                found = await ask(port, "GET", f"/carts/{name}-{number}")
                assert found == (200, {"items": {"tea": 100}, "coupons": []})
            assert tries >= 1000

        serve(monkeypatch, cluster, test)
