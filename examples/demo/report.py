"""What the demo found: which promises were kept, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shoppers import Ledger


@dataclass
class Findings:
    """Everything that is known when the last replica was read."""

    ledger: Ledger
    finals: dict[str, frozenset[str]]  # cart -> items, read with r = N
    kills: int
    replicas_equal: bool
    unequal: list[str]
    coordination: str
    reconcile: str
    seconds: float
    notes: list[str]
    steps: list[dict[str, Any]] | None = None  # of --grow

    def acknowledged(self) -> int:
        """Adds that a shopper was told are kept."""
        return sum(len(items) for items in self.ledger.acknowledged.values())

    def lost(self) -> list[str]:
        """Acknowledged adds that nobody took out and that are in no cart."""
        lost = []
        for cart, items in self.ledger.acknowledged.items():
            taken_out = self.ledger.removed.get(cart, set()) | self.ledger.unsure_removed.get(
                cart, set()
            )
            lost += [
                f"{cart}: {item}"
                for item in sorted(items - taken_out - self.finals.get(cart, frozenset()))
            ]
        return lost

    def resurrected(self) -> int:
        """Removed items that a concurrent change brought back: allowed, and counted (R4.4-b)."""
        return sum(
            len(items & self.finals.get(cart, frozenset()))
            for cart, items in self.ledger.removed.items()
        )

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        broken = []
        if lost := len(self.lost()):
            broken.append(f"{lost} acknowledged adds were lost")
        if self.ledger.refused:
            broken.append(f"{self.ledger.refused} writes were refused")
        if not self.replicas_equal:
            broken.append(f"replicas of {len(self.unequal)} carts differ after read repair")
        return broken

    def as_json(self) -> dict[str, Any]:
        """The machine's form."""
        versions = self.ledger.versions
        data = {
            "acknowledged_adds": self.acknowledged(),
            "lost_adds": len(self.lost()),
            "refused_writes": self.ledger.refused,
            "resurrected_removes": self.resurrected(),
            "kills": self.kills,
            "versions_per_read": {
                "1": versions[1],
                "2": versions[2],
                "3": versions[3],
                "4+": sum(count for seen, count in versions.items() if seen >= 4),
            },
            "get_ms": latencies(self.ledger.get_ms),
            "put_ms": latencies(self.ledger.put_ms),
            "replicas_equal": self.replicas_equal,
            "coordination": self.coordination,
            "reconcile": self.reconcile,
        }
        return data if self.steps is None else data | {"growth": self.steps}

    def as_text(self) -> str:
        """The form for people."""
        data = self.as_json()
        reads = sum(data["versions_per_read"].values()) or 1
        removes = sum(len(items) for items in self.ledger.removed.values())
        lines = [
            "",
            f"adds acknowledged   {data['acknowledged_adds']}  "
            f"({data['acknowledged_adds'] / self.seconds:.0f} a second, "
            f"{len(self.ledger.carts)} carts)",
            f"adds lost           {data['lost_adds']}  (must be 0)",
            f"writes refused      {data['refused_writes']}  (must be 0; "
            f"{self.ledger.maybe_applied} of them may have happened)",
            f"removes             {removes}, of which {data['resurrected_removes']} came back "
            "(allowed, counted)",
            f"kills               {data['kills']}",
            f"replicas byte-equal {'yes' if self.replicas_equal else 'NO'}",
            "versions per read   "
            + "  ".join(
                f"{name}: {count / reads:.4%}" for name, count in data["versions_per_read"].items()
            ),
            "",
            f"{'milliseconds':26}{'mean':>9}{'p50':>9}{'p99':>9}{'p99.9':>9}{'count':>9}",
        ]
        for name in ("get", "put"):
            for when, title in (
                ("during_kills", "while nodes are down"),
                ("otherwise", "otherwise"),
            ):
                row = data[f"{name}_ms"][when]
                lines.append(
                    f"{name + ', ' + title:26}"
                    + "".join(f"{row[column]:9.2f}" for column in ("mean", "p50", "p99", "p99.9"))
                    + f"{row['count']:9}"
                )
        lines.append("")
        lines += [
            f"at {step['at_s']:5.1f} s          {step['step']}, in {step['took_s']} s"
            for step in self.steps or []
        ]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"refused: {why}" for why in self.ledger.refusals]
        lines += [f"lost: {what}" for what in self.lost()[:5]]
        broken = self.broken()
        lines.append("BROKEN: " + "; ".join(broken) if broken else "Every promise was kept.")
        return "\n".join(lines)


def latencies(timed: list[tuple[bool, float]]) -> dict[str, dict[str, float | int]]:
    """Mean and percentiles of all, of those while a node was down, and of the rest."""
    return {
        "all": _summary([ms for _, ms in timed]),
        "during_kills": _summary([ms for down, ms in timed if down]),
        "otherwise": _summary([ms for down, ms in timed if not down]),
    }


def _summary(times: list[float]) -> dict[str, float | int]:
    times = sorted(times)
    if not times:
        return {"count": 0, "mean": 0.0, "p50": 0.0, "p99": 0.0, "p99.9": 0.0}

    def percentile(share: float) -> float:
        return round(times[min(len(times) - 1, int(len(times) * share))], 3)

    return {
        "count": len(times),
        "mean": round(sum(times) / len(times), 3),
        "p50": percentile(0.5),
        "p99": percentile(0.99),
        "p99.9": percentile(0.999),
    }
