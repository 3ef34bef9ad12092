"""Pictures of what a cluster did: versions, replicas, the ring, messages, distributions.

Each is drawn from a dict, which ``ringlet.lab``, a client of a live cluster or a recorder gives; ``print`` shows text,
a notebook shows the SVG, and ``save`` writes a file. Pure Python, no dependencies, no scripts in what it makes.

>>> from ringlet.display import History
>>> print(History({"bucket": "carts", "key": "c", "now_us": 0, "versions": [
...     {"dot": "n1·1:1", "value": "dGVh", "deleted": False, "client": "alice", "coordinator": "n1",
...      "at_us": 1000, "seen": [], "state": "living"}]}))
carts/c at 0.000 s: 1 version (1 living)
●  n1·1:1  'tea'  alice through n1 at 0.001 s, blind; living
"""

from ._picture import Beside, Picture
from .charts import Latencies, Staleness
from .history import History, Why
from .nodes import Replicas, Ring, Trees
from .recorder import Recorder, record
from .timeline import Timeline

__all__ = [
    "Beside",
    "History",
    "Latencies",
    "Picture",
    "Recorder",
    "Replicas",
    "Ring",
    "Staleness",
    "Timeline",
    "Trees",
    "Why",
    "record",
]
