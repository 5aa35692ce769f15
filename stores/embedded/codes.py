"""Arithmetic of vectors: unit length, float16, 1-bit codes, and choosing candidates by their Hamming distance.

A code holds one bit a dimension: is the vector above the centre of its scope there? Codes of n vectors are a uint64
array of `words(dimension)` rows and n columns, so that every pass over them reads and writes contiguous memory.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Codes = NDArray[np.uint64]
Positions = NDArray[np.int64]

CHUNK = 32_768  # columns per pass; the buffers of one pass stay in the L2 cache (8,192 and 131,072 were 6-18 % slower)
REACH = 4.0  # standard deviations of a code's distance within which a vector may be above a floor,
NEAR = 1.5  # and within which it most likely is

_MAGNITUDE = np.array(0x8FFFE000, np.uint32).view(np.int32)
_REBIAS = np.float32(2.0**112)


def words(dimension: int) -> int:
    """How many uint64 a code of this dimension takes."""
    return -(-dimension // 64)


def unit(vectors: Floats) -> Floats:
    """The rows (n, d) at length 1; rows of zeros stay zeros. ValueError when a number is not finite."""
    rows = np.asarray(vectors, np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("A vector holds a number that is not finite.")
    lengths = np.sqrt(np.vecdot(rows, rows))[:, None]
    units: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return units.astype(np.float32)


def widen(halves: Halves, out: Floats) -> None:
    """Write float16 rows (n, d) into float32 rows; exact for every finite number.

    Moves the bits itself: 1.7 ms for 10,000 x 256, where astype takes 3.5 ms.
    """
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _MAGNITUDE, out=bits)
    np.multiply(out, _REBIAS, out=out)


def widened(halves: Halves) -> Floats:
    """Float16 rows (n, d) as new float32 rows, in steps that stay in the L2 cache."""
    out = np.empty(halves.shape, np.float32)
    for start in range(0, len(halves), 512):
        widen(halves[start : start + 512], out[start : start + 512])
    return out


def radius(vectors: Floats, centre: Floats) -> float:
    """How far vectors (n, d) are from the centre, as the root of the mean square; 1 where there are none."""
    apart = vectors - centre
    return math.sqrt(float(np.vecdot(apart, apart).mean())) if len(vectors) else 1.0


def encode(vectors: Floats, centre: Floats) -> Codes:
    packed = np.packbits(vectors > centre, axis=1)
    padded = np.zeros((len(vectors), words(vectors.shape[1]) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


class Centre(NamedTuple):
    """The point (d) around which codes are taken, and how far vectors are from it, as the root of the mean square.

    The distance is measured, not derived from the point: where the first block holds one text over and over, the point
    is that text's vector, and the rest lies elsewhere.
    """

    point: Floats
    radius: float


class Aim(NamedTuple):
    """A query as codes see it: 1 + cosine is about `start - step x Hamming distance`.

    Where a floor is asked for, vectors beyond the distance `reach` are surely below it, and those within `near` most
    likely not; else both are None.
    """

    code: Codes
    start: float
    step: float
    reach: int | None
    near: int | None


def aim(query: Floats, centre: Centre, floor: float) -> Aim:
    """How to estimate 1 + cosine to a query from the distances of codes.

    Seen from the centre c, vectors are about the radius r away. One at cosine f lies at the angle whose cosine is
    (f - q.c - (1 - c.c - r r) / 2) / (|q - c| r), and each of the d bits differs with the probability angle / pi; near
    the right angle, where most vectors are, that is a straight line. Taking 1 - distance / d for the similarity instead
    lost 4 % of the true top ten of clustered vectors, for it lets the weights count for too much.
    """
    dimension, (point, radius) = len(query), centre
    offset = float(query @ point) + (1.0 - float(point @ point) - radius * radius) / 2
    spread = max(1e-6, float(np.linalg.norm(query - point)) * radius)
    code, start, step = (
        encode(query[None, :], point)[0],
        1.0 + offset + spread * math.pi / 2,
        spread * math.pi / dimension,
    )
    if floor <= -1.0:
        return Aim(code, start, step, None, None)
    differing = math.acos(max(-1.0, min(1.0, (floor - offset) / spread))) / math.pi
    deviation = math.sqrt(dimension * max(0.05, differing * (1.0 - differing)))
    middle = dimension * differing
    return Aim(code, start, step, math.ceil(middle + REACH * deviation), math.ceil(middle + NEAR * deviation))


def candidates(codes: Codes, weights: Floats, aim: Aim, count: int, among: Positions | None) -> Positions:
    """Positions of the columns whose (1 + cosine) x weight is likely to be among the highest.

    About `count`; half as many more where there is a floor, or heavy vectors that may be above it would take the places
    of lighter ones that are. among: only these positions.
    """
    estimate, near = _estimates(codes, weights, aim)
    if among is not None:
        estimate, near = estimate[among], None if near is None else near[among]
    picked = best(estimate, count)
    if near is not None:
        picked = np.union1d(picked, best(np.where(near, estimate, np.float32(-1.0)), count // 2))
    return picked if among is None else among[picked]


def _estimates(codes: Codes, weights: Floats, aim: Aim) -> tuple[Floats, NDArray[np.bool_] | None]:
    """(1 + cosine) x weight for every column, about, and whether it is near.

    Negative for columns of a negative weight or out of reach. 1,000,000 x 256 bits: 7 ms, 5.2 of them the distances.
    """
    size = len(weights)
    found = np.empty(size, np.float32)
    near = None if aim.near is None else np.empty(size, np.bool_)
    differing, counts = np.empty(CHUNK, np.uint64), np.empty(CHUNK, np.uint8)
    distances = np.empty(CHUNK, np.uint16)
    last = np.uint16(min(65_535, max(0, math.ceil(aim.start / aim.step) - 1)))  # beyond it the line falls below zero
    for start in range(0, size, CHUNK):
        stop = min(start + CHUNK, size)
        bits, count, distance = differing[: stop - start], counts[: stop - start], distances[: stop - start]
        distance.fill(0)
        for row, word in zip(codes, aim.code, strict=True):
            np.bitwise_xor(row[start:stop], word, out=bits)
            np.bitwise_count(bits, out=count)
            np.add(distance, count, out=distance)
        far = None if aim.reach is None else distance > aim.reach
        if near is not None and aim.near is not None:
            np.less_equal(distance, aim.near, out=near[start:stop])
        estimate = found[start:stop]
        np.minimum(distance, last, out=distance)
        np.multiply(distance, np.float32(-aim.step), out=estimate, dtype=np.float32)
        np.add(estimate, np.float32(aim.start), out=estimate)
        np.multiply(estimate, weights[start:stop], out=estimate)
        if far is not None:
            np.putmask(estimate, far, np.float32(-1.0))
    return found, near


def best(estimate: Floats, count: int) -> Positions:
    """Positions of the `count` highest estimates, or all of them if they are fewer; negative ones are left out.

    A threshold from a sample, then one pass: 0.5 ms at 1,000,000, where argpartition of all takes 2 ms.
    """
    step = max(1, count // 32)
    sample = estimate[::step]
    rank = math.ceil(1.3 * count / step)
    threshold = np.float32(0.0)
    if rank < len(sample):
        threshold = max(threshold, np.partition(sample, len(sample) - rank)[len(sample) - rank])
    picked = np.flatnonzero(estimate >= threshold)
    if len(picked) < count and threshold > 0:
        picked = np.flatnonzero(estimate >= 0)
    if len(picked) > count:
        picked = picked[np.argpartition(estimate[picked], len(picked) - count)[len(picked) - count :]]
    return picked
