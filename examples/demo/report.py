"""What the demo found: which promises were kept, in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    merge: str = ""  # "document", "union"; "": things only, no quantities
    amounts: dict[str, dict[str, int]] = field(default_factory=dict)  # cart -> quantities, as finals

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
        """Removed items that a concurrent change brought back. A merge by union does that (R4.4-b); a
        document must not.
        """
        return sum(
            len(items & self.finals.get(cart, frozenset()))
            for cart, items in self.ledger.removed.items()
        )

    def removes(self) -> int:
        """Acknowledged removes."""
        return sum(len(items) for items in self.ledger.removed.values())

    def quantities(self) -> int:
        """Things of which some quantity was acknowledged, in each cart."""
        return sum(len(counts) for counts in self.ledger.counted.values())

    def wrong_quantities(self) -> list[str]:
        """Quantities that are not what was acknowledged, give or take what may have happened."""
        wrong = []
        for cart in sorted({*self.ledger.counted, *self.ledger.unsure_counted}):
            sure = self.ledger.counted.get(cart, {})
            unsure = self.ledger.unsure_counted.get(cart, {})
            for name in sorted({*sure, *unsure}):
                least = sure.get(name, 0)
                most, found = least + unsure.get(name, 0), self.amounts.get(cart, {}).get(name, 0)
                if not least <= found <= most:
                    wrong.append(f"{cart}: {found} of {name}, wanted {least} to {most}")
        return wrong

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        broken = []
        if lost := len(self.lost()):
            broken.append(f"{lost} acknowledged adds were lost")
        if self.merge == "document":
            if back := self.resurrected():
                broken.append(f"{back} removed items came back")
            if wrong := len(self.wrong_quantities()):
                broken.append(f"{wrong} quantities are wrong")
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
        if self.merge:
            data |= {
                "merge": self.merge,
                "removes": self.removes(),
                "quantities": self.quantities(),
                "wrong_quantities": len(self.wrong_quantities()),
            }
        return data if self.steps is None else data | {"growth": self.steps}

    def as_text(self) -> str:
        """The form for people."""
        data = self.as_json()
        reads = sum(data["versions_per_read"].values()) or 1
        must = "must be 0"
        removes = self.removes()
        lines = [
            "",
            f"adds acknowledged   {data['acknowledged_adds']}  "
            f"({data['acknowledged_adds'] / self.seconds:.0f} a second, "
            f"{len(self.ledger.carts)} carts)",
            f"adds lost           {data['lost_adds']}  (must be 0)",
            f"writes refused      {data['refused_writes']}  (must be 0; "
            f"{self.ledger.maybe_applied} of them may have happened)",
            f"removes             {removes}, of which {data['resurrected_removes']} came back "
            f"({must if self.merge == 'document' else 'union does that'})",
            f"quantities          {self.quantities()}, of which {len(self.wrong_quantities())} are wrong "
            f"({must if self.merge == 'document' else 'of two the greater counts'})",
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
        if self.merge == "document":
            lines += [f"wrong: {what}" for what in self.wrong_quantities()[:5]]
        broken = self.broken()
        lines.append("BROKEN: " + "; ".join(broken) if broken else "Every promise was kept.")
        return "\n".join(lines)


def side_by_side(found: dict[str, Findings]) -> str:
    """What the ways to reconcile carts came to, while nodes were killed."""
    lines = ["", f"{'':22}" + "".join(f"{way:>14}" for way in found)]

    def row(title: str, of: Callable[[Findings], str]) -> None:
        lines.append(f"{title:22}" + "".join(f"{of(each):>14}" for each in found.values()))

    row("adds acknowledged", lambda each: str(each.acknowledged()))
    row("adds lost", lambda each: str(len(each.lost())))
    row("removes", lambda each: str(each.removes()))
    row("removes that came back", lambda each: str(each.resurrected()))
    row("quantities", lambda each: str(each.quantities()))
    row("quantities wrong", lambda each: str(len(each.wrong_quantities())))
    row("writes refused", lambda each: str(each.ledger.refused))
    row("kills", lambda each: str(each.kills))
    row("replicas byte-equal", lambda each: "yes" if each.replicas_equal else "NO")
    lines.append("")
    broken = next(iter(found.values())).broken()
    lines.append(
        "BROKEN: " + "; ".join(broken) if broken else "Every promise of the documents was kept."
    )
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
