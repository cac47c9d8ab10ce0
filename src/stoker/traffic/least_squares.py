"""Parts of a sum, none of them negative, out of what sums were measured: those that miss them least by
share."""

from collections.abc import Sequence
from itertools import combinations

ROUNDING = 1e-9  # of a square, below which one fit is as good as another

Row = Sequence[float]


def positive(rows: Sequence[tuple[Row, float]], dear: Sequence[float]) -> list[float] | None:
    """The parts' values, of all fits that leave some at zero; None where there is none.

    rows: how often each part is in a sum, and the sum. dear: for each part, how many times smaller the
    squares must get for it to be believed. Each sum counts by the share that is missed of it.
    """
    size = len(dear)
    shares = [[value / total for value in row] for row, total in rows]
    left = [[sum(row[a] * row[b] for row in shares) for b in range(size)] for a in range(size)]
    right = [sum(row[a] for row in shares) for a in range(size)]
    best: list[float] | None = None
    least = float("inf")
    for count in range(1, size + 1):
        for chosen in combinations(range(size), count):
            solved = _solved([[left[a][b] for b in chosen] for a in chosen], [right[a] for a in chosen])
            if solved is None or min(solved) < 0:
                continue
            parts = [0.0] * size
            missed = float(len(rows))
            for place, value in zip(chosen, solved, strict=True):
                parts[place] = value
            for a in chosen:
                missed += parts[a] * (sum(parts[b] * left[a][b] for b in chosen) - 2 * right[a])
            missed = max(0.0, missed) + ROUNDING * len(rows)
            for place in chosen:
                missed *= dear[place]
            if missed < least:
                best, least = parts, missed
    return best


def _solved(matrix: list[list[float]], vector: list[float]) -> list[float] | None:
    """A small system of equations, by elimination; None for one that has no single answer."""
    size = len(vector)
    scale = [matrix[n][n] ** 0.5 or 1.0 for n in range(size)]  # parts differ by many orders of magnitude
    rows = [
        [matrix[a][b] / scale[a] / scale[b] for b in range(size)] + [vector[a] / scale[a]]
        for a in range(size)
    ]
    for n in range(size):
        pivot = max(range(n, size), key=lambda row: abs(rows[row][n]))
        if abs(rows[pivot][n]) < 1e-9:
            return None
        rows[n], rows[pivot] = rows[pivot], rows[n]
        for other in range(size):
            if other != n and rows[other][n]:
                factor = rows[other][n] / rows[n][n]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[n], strict=True)]
    return [rows[n][size] / rows[n][n] / scale[n] for n in range(size)]
