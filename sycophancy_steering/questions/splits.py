"""Deals questions into extract, select and test, draws a sample, and balances option order.

Splits share no item and no persona: items are dealt out, personas are dealt out, and a question
stays where both agree. Nothing depends on the order in which questions arrive.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sycophancy_steering.config.split import SplitShares
from sycophancy_steering.questions.question import Order, Question, Row, build_row

SPLITS = ("extract", "select", "test")


@dataclass(frozen=True)
class Sample:
    """Rows of one source and what was left out of them."""

    rows: list[Row]
    left_out: dict[str, int]
    """Reason -> number of questions."""


def assign_splits(names: Iterable[str], shares: SplitShares) -> dict[str, str]:
    """Split of each name, the shares kept to the nearest name, by a seeded hash of the name."""
    ordered = sorted(set(names), key=lambda name: seeded_hash(shares.seed, name))
    total = shares.extract + shares.select + shares.test
    first = round(len(ordered) * shares.extract / total)
    second = round(len(ordered) * (shares.extract + shares.select) / total)
    return {
        name: SPLITS[0] if n < first else SPLITS[1] if n < second else SPLITS[2]
        for n, name in enumerate(ordered)
    }


def question_splits(questions: Sequence[Question], shares: SplitShares) -> list[str | None]:
    """The split of each question; None where its item and its persona were dealt differently.

    A persona that occurs with one item only, as in most public files, goes where its item goes.
    """
    item_split = assign_splits((q.item for q in questions), shares)
    items_of: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        items_of[question.persona].add(question.item)
    roaming = [name for name, items in items_of.items() if name and len(items) > 1]
    persona_split = assign_splits(roaming, shares)
    return [
        split if persona_split.get(question.persona, split) == split else None
        for question in questions
        for split in (item_split[question.item],)
    ]


def sample(
    questions: Sequence[Question], shares: SplitShares, splits: Sequence[str], limit: int
) -> Sample:
    """At most `limit` rows of `splits`, spread evenly over items and views, options in both orders.

    The sycophantic answer stands in each place equally often, to within one, for each view. A
    larger `limit` adds rows and changes none, so that what is known of these stays known.
    """
    left_out: Counter[str] = Counter()
    groups: dict[tuple[str, int], list[Question]] = defaultdict(list)
    for question, split in zip(questions, question_splits(questions, shares), strict=True):
        if split is None:
            left_out["item and persona dealt to different splits"] += 1
        elif split not in splits:
            left_out["another split"] += 1
        else:
            groups[question.item, question.matching].append(question)
    ranked: list[tuple[int, str, int, Question]] = []
    for (item, view), members in groups.items():
        members.sort(key=lambda q: seeded_hash(shares.seed, repr(q.write(tuple(range(len(q.options)))))))
        # Another order than the one items are dealt in, or few rows would be of one split only.
        place = seeded_hash(shares.seed + 1, item)
        ranked += [(rank, place, view, question) for rank, question in enumerate(members)]
    ranked.sort(key=lambda each: each[:3])
    chosen = ranked[:limit]
    left_out["over the limit"] += len(ranked) - len(chosen)

    item_split = assign_splits((q.item for q in questions), shares)
    taken: Counter[tuple[int, str, int, int]] = Counter()
    next_place: dict[tuple[str, int], int] = {}
    placed: list[tuple[str, int, int, Row]] = []
    for rank, place, _, question in chosen:
        split, options = item_split[question.item], len(question.options)
        view = question.matching
        wanted = next_place.get((question.item, view), view)
        # The place that was taken least often; of several, the one that is the item's turn.
        turns = [(wanted + n) % options for n in range(options)]
        at = min(turns, key=[taken[view, split, options, n] for n in range(options)].__getitem__)
        taken[view, split, options, at] += 1
        next_place[question.item, view] = at + 1
        placed.append((place, view, rank, build_row(question, order_with_matching_at(question, at), split)))
    rows: dict[str, Row] = {}
    for *_, row in sorted(placed, key=lambda each: each[:3]):
        left_out["the same words twice"] += row.id in rows
        rows.setdefault(row.id, row)
    return Sample(list(rows.values()), {why: n for why, n in left_out.items() if n})


def order_with_matching_at(question: Question, position: int) -> Order:
    """An order of the options in which the sycophantic one stands in place `turn` (mod options).

    The source's own, if the question says so.
    """
    if question.fixed_order:
        return tuple(range(len(question.options)))
    others = [n for n in range(len(question.options)) if n != question.matching]
    place = position % len(question.options)
    return (*others[:place], question.matching, *others[place:])


def seeded_hash(seed: int, text: str) -> str:
    """A hash that orders names in a way that is random and always the same."""
    return hashlib.sha256(f"{seed}\n{text}".encode()).hexdigest()
