"""What the function of an update, or a resolver, may return in place of a value."""

from __future__ import annotations

from typing import final


@final
class Delete:
    """What the function of ``update`` returns to delete the key: ``return ringlet.Delete()`` or the
    class. Of a resolver: the siblings become a delete.
    """


@final
class Keep:
    """What the function of ``update`` returns to leave everything as it is: nothing is written. Of a
    resolver: the siblings stay.
    """
