"""The results as a table: what was measured beside what was planned, each with the plan's own band."""

from collections.abc import Iterator
from typing import Any

GIB = 1024**3
# Figures of the plan, and what they are called in a measured start. Since 0.28 vLLM counts weights and what
# is not PyTorch's together, and graphs among the activations.
PARTS = ("weights", "activations", "other", "cuda_graphs", "kv_cache")
COUNTS = ("runner", "groups", "block_size", "blocks", "tokens")


def text(found: dict[str, Any]) -> str:
    """All of a run: users' steps, then every engine."""
    machine = found["machine"]
    head = f"{machine.get('gpu', 'no GPU')}, vLLM {machine['vllm']}{', dry run' * found['dry_run']}"
    rows = [
        head,
        "",
        *_users(found["users"]),
        "",
        *(line for one in found["engines"] for line in _engine(one)),
    ]
    return "\n".join(rows) + "\n"


def _users(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        took = f"{row['seconds']:6.1f} s" if "seconds" in row else "       -"
        yield f"{row['name']:14} {took}  {'ok' if row['ok'] else row['error']}"


def _engine(row: dict[str, Any]) -> Iterator[str]:
    said = "" if row["ok"] else f"   {row.get('error', '')}"
    yield f"{row['name']}{said}"
    planned = row["planned"]
    if row.get("consumed") and row.get("cuda_graphs") and row.get("activations"):
        row = row | {
            "activations": row["activations"] - row["cuda_graphs"]
        }  # since 0.28 these are one figure
    for name in PARTS:
        if name in planned:
            yield f"  {name:14} {_bytes(planned[name], row.get(name))}"
    if row.get("consumed") and "other" not in row:  # since 0.28 both are one figure
        both = [planned[name] for name in ("weights", "other")]
        whole = (sum(size for size, _ in both), sum(band for _, band in both))
        yield f"  {'both of them':14} {_bytes(whole, row['consumed'])}"
    for name in COUNTS:
        if name in planned:
            here, there = planned[name], row.get(name)
            told = "" if there is None else f"   measured {there:>12,}{'' if there == here else '   DIFFERS'}"
            yield f"  {name:14} planned {here:>12,}{told}"
    yield from _times(row)
    yield ""


def _bytes(planned: list[int] | tuple[int, int], real: int | None) -> str:
    size, band = planned
    told = f"planned {size / GIB:8.3f} +-{band / GIB:.3f} GiB"
    if real is None:
        return told
    held = "in" if abs(real - size) <= band + 0.01 * GIB else "OUT"
    return f"{told}   measured {real / GIB:8.3f}   {(size - real) / GIB:+.3f}   {held}"


def _times(row: dict[str, Any]) -> Iterator[str]:
    for name in ("import_s", "start_s", "first_request_s", "second_request_s"):
        if name in row:
            yield f"  {name:18} {row[name]:8.2f} s"
    for name in ("backends", "specs", "absent"):
        for one in row.get(name) or ():
            yield f"  {name:14} {one}"
