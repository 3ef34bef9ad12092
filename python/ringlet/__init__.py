"""Ringlet: an always-writeable key-value store whose conflicts your own function merges.

>>> import ringlet
>>> with ringlet.local_cluster() as cluster:
...     carts = cluster.connect().bucket("carts", codec=ringlet.Json)
...     cart = carts.update("alice", lambda items: (items or []) + ["tea"])
...     print(cart.value)
['tea']
"""

from typing import TYPE_CHECKING, Any

from . import _core

_core.check_interpreter()  # before anything else calls the extension

from . import document, resolvers
from ._core import version as _version
from .changes import Delete, Keep
from .client import Bucket, Client, connect
from .cluster import LocalCluster, local_cluster
from .codecs import RAW, Buffer, Codec, Dataclass, Json, Pickle, Text
from .context import Context, Dot
from .errors import (
    ClientClosed,
    ClientForked,
    ConflictError,
    DataError,
    DecodeError,
    InternalError,
    InvalidContext,
    Key,
    KeyMissing,
    OptionError,
    Overloaded,
    QuorumNotMet,
    RingletError,
    Status,
    Timeout,
    TooLarge,
    TransientError,
    Unavailable,
    UpdateExhausted,
    UsageError,
)
from .found import Found
from .journal import Journal
from .options import CallOptions, Option, WriteOptions, options
from .versioned import Explanation, Resolver, Sibling, Versioned

if TYPE_CHECKING:
    from . import aio as aio
    from . import display as display
    from . import lab as lab
    from . import laws as laws
    from .laws import check_merge as check_merge
    from .replaying import replay as replay

__version__: str = _version()

__all__ = [
    "RAW",
    "Bucket",
    "Buffer",
    "CallOptions",
    "Client",
    "ClientClosed",
    "ClientForked",
    "Codec",
    "ConflictError",
    "Context",
    "DataError",
    "Dataclass",
    "DecodeError",
    "Delete",
    "Dot",
    "Explanation",
    "Found",
    "InternalError",
    "InvalidContext",
    "Journal",
    "Json",
    "Keep",
    "Key",
    "KeyMissing",
    "LocalCluster",
    "Option",
    "OptionError",
    "Overloaded",
    "Pickle",
    "QuorumNotMet",
    "Resolver",
    "RingletError",
    "Sibling",
    "Status",
    "Text",
    "Timeout",
    "TooLarge",
    "TransientError",
    "Unavailable",
    "UpdateExhausted",
    "UsageError",
    "Versioned",
    "WriteOptions",
    "connect",
    "document",
    "local_cluster",
    "options",
    "resolvers",
]


def __getattr__(name: str) -> Any:
    """Parts that not every program needs are loaded when they are first asked for."""
    where = {"check_merge": "laws", "replay": "replaying"}.get(name, name)
    if where in ("aio", "display", "lab", "laws", "replaying"):
        import importlib

        module = importlib.import_module(f".{where}", __name__)
        return module if where == name else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
