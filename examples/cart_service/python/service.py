"""A cart service on asyncio: HTTP in front of Ringlet, with Starlette and ringlet.aio.

    RINGLET_SEEDS=127.0.0.1:7400 uvicorn --app-dir examples/cart_service/python service:app

    GET    /carts/CUSTOMER                                 {"items": {"tea": 2}, "coupons": ["SUMMER"]}
    POST   /carts/CUSTOMER/items   {"thing": "tea", "amount": 2}
    DELETE /carts/CUSTOMER/items/THING
    POST   /carts/CUSTOMER/coupons {"code": "SUMMER"}

The carts are those of the other examples: documents of the bucket "baskets". A change that failed with 503 may
have been made if the answer says "maybe_applied"; it is repeated, and counts once, with the header
Idempotency-Key that the answer names. A client may as well draw 32 hexadecimal digits itself and send them with
the first try.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ringlet.aio
from ringlet.document import Counter, Map, MapEditor, Set
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CART = Map(items=Map(of=Counter), coupons=Set)


class BadRequest(Exception):
    """What the caller sent is not what was wanted."""


async def fields(request: Request, **wanted: type) -> list[Any]:
    """The members of the body, which is a JSON object."""
    try:
        body = await request.json()
    except ValueError as error:
        raise BadRequest(f"body: wanted JSON, {error}") from None
    if not isinstance(body, dict) or set(body) - set(wanted):
        raise BadRequest(f"body: wanted an object of {', '.join(wanted)}")
    for name, kind in wanted.items():
        if type(body.get(name)) is not kind or not body[name]:
            raise BadRequest(f"{name}: wanted {kind.__name__}, got {body.get(name)!r}")
    return [body[name] for name in wanted]


def write_id(request: Request) -> dict[str, str]:
    """The option of a call that repeats an earlier one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return {}
    if not re.fullmatch("[0-9a-fA-F]{32}", key):
        raise BadRequest(f"Idempotency-Key: wanted 32 hexadecimal digits, got {key!r}")
    return {"write_id": key}


def shown(cart: ringlet.Versioned[Any]) -> JSONResponse:
    """A cart as JSON."""
    value = cart.value if cart else {"items": {}, "coupons": set()}
    return JSONResponse({"items": value["items"], "coupons": sorted(value["coupons"])})


async def change(request: Request, edit: Callable[[MapEditor], object]) -> JSONResponse:
    """Edits the cart that the path names, and shows what it is then."""
    carts: ringlet.aio.Bucket[Any] = request.app.state.carts
    return shown(await carts.edit(request.path_params["customer"], edit, **write_id(request)))


async def show(request: Request) -> JSONResponse:
    return shown(await request.app.state.carts.get(request.path_params["customer"]))


async def add(request: Request) -> JSONResponse:
    thing, amount = await fields(request, thing=str, amount=int)
    if not 1 <= amount <= 1_000_000:
        raise BadRequest(f"amount: wanted 1 to 1000000, got {amount}")
    return await change(request, lambda cart: cart["items"][thing].increment(amount))


async def remove(request: Request) -> JSONResponse:
    return await change(request, lambda cart: cart["items"].discard(request.path_params["thing"]))


async def redeem(request: Request) -> JSONResponse:
    (code,) = await fields(request, code=str)
    return await change(request, lambda cart: cart["coupons"].add(code))


async def bad_request(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 400)


async def failed(request: Request, error: Exception) -> JSONResponse:
    """Of Ringlet: 503 is worth another try."""
    assert isinstance(error, ringlet.RingletError)
    status = (
        503
        if isinstance(error, ringlet.TransientError)
        else 400
        if isinstance(error, ringlet.UsageError)
        else 500
    )
    body: dict[str, Any] = {"error": str(error), "maybe_applied": error.maybe_applied}
    if error.write_id is not None:
        body["idempotency_key"] = error.write_id.hex()
    return JSONResponse(body, status, headers={"retry-after": "1"} if status == 503 else None)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One client for the whole service, on the server's loop."""
    async with ringlet.aio.connect(timeout=5.0) as client:
        app.state.carts = client.bucket("baskets", codec=CART)
        yield


app = Starlette(
    routes=[
        Route("/carts/{customer}", show),
        Route("/carts/{customer}/items", add, methods=["POST"]),
        Route("/carts/{customer}/items/{thing}", remove, methods=["DELETE"]),
        Route("/carts/{customer}/coupons", redeem, methods=["POST"]),
    ],
    exception_handlers={BadRequest: bad_request, ringlet.RingletError: failed},
    lifespan=lifespan,
)
