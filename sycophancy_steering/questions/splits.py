"""Splits questions into extract, select and test, samples them, and balances the order of options.

Splits share no item, no persona and no template: each is assigned to a split independently, and a
question is used where the assignments agree. Nothing depends on the order of the questions.
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
    """Rows of one source, and how many questions were left out."""

    rows: list[Row]
    left_out: dict[str, int]
    """Reason -> number of questions."""


def assign_splits(names: Iterable[str], shares: SplitShares) -> dict[str, str]:
    """Name -> split, by a seeded hash of the name; shares are exact to the nearest name."""
    ordered = sorted(set(names), key=lambda name: seeded_hash(shares.seed, name))
    total = shares.extract + shares.select + shares.test
    first = round(len(ordered) * shares.extract / total)
    second = round(len(ordered) * (shares.extract + shares.select) / total)
    return {
        name: SPLITS[0] if n < first else SPLITS[1] if n < second else SPLITS[2]
        for n, name in enumerate(ordered)
    }


def question_splits(questions: Sequence[Question], shares: SplitShares) -> list[str | None]:
    """The split of each question; None where its item, persona and template are in different ones.

    A persona or template with a single item, as in most public files, follows its item. Templates
    of each strength are split apart, or the questions of one split would press harder.
    """
    item_split = assign_splits((q.item for q in questions), shares)
    persona_split = _split_of_shared(((q.persona, q.item) for q in questions), shares)
    template_split: dict[str, str] = {}
    for strength in sorted({q.strength for q in questions}):
        of_strength = ((q.template, q.item) for q in questions if q.strength == strength)
        template_split |= _split_of_shared(of_strength, shares)
    return [
        split
        if persona_split.get(question.persona, split) == split
        and template_split.get(question.template, split) == split
        else None
        for question in questions
        for split in (item_split[question.item],)
    ]


def _split_of_shared(
    names_and_items: Iterable[tuple[str, str]], shares: SplitShares
) -> dict[str, str]:
    """The split of each name (a persona or template) that is used with several items."""
    items_of: dict[str, set[str]] = defaultdict(set)
    for name, item in names_and_items:
        items_of[name].add(item)
    return assign_splits((n for n, items in items_of.items() if n and len(items) > 1), shares)


def sample(
    questions: Sequence[Question],
    shares: SplitShares,
    splits: Sequence[str],
    limit: int,
    per_item: int = 1,
) -> Sample:
    """At most `limit` rows of `splits`, spread evenly over items and views.

    `per_item` questions about an item are drawn before the next item, as many with each view.

    For each view the sycophantic answer has each position equally often, to within one. A larger
    `limit` adds rows and changes none, so that cached responses stay valid.
    """
    left_out: Counter[str] = Counter()
    groups: dict[tuple[str, int], list[Question]] = defaultdict(list)
    for question, split in zip(questions, question_splits(questions, shares), strict=True):
        if split is None:
            left_out["item, persona and template in different splits"] += 1
        elif split not in splits:
            left_out["another split"] += 1
        else:
            groups[question.item, question.matching].append(question)
    per_view = -(-per_item // len({question.matching for question in questions}))
    ranked: list[tuple[int, str, int, int, Question]] = []
    for (item, view), members in groups.items():
        members.sort(
            key=lambda q: seeded_hash(shares.seed, repr(q.write(tuple(range(len(q.options))))))
        )
        # Another seed than that of the splits, or small samples would have rows of one split only.
        item_order = seeded_hash(shares.seed + 1, item)
        ranked += [
            (rank // per_view, item_order, view, rank, question)
            for rank, question in enumerate(members)
        ]
    ranked.sort(key=lambda entry: entry[:4])
    sampled = ranked[:limit]
    left_out["over the limit"] += len(ranked) - len(sampled)

    item_split = assign_splits((q.item for q in questions), shares)
    n_rows: Counter[tuple[int, str, int, int]] = Counter()
    next_position: dict[tuple[str, int], int] = {}
    rows_in_order: list[tuple[str, int, int, Row]] = []
    for _, item_order, _, rank, question in sampled:
        split, options = item_split[question.item], max(1, len(question.options))
        view = question.matching
        wanted = next_position.get((question.item, view), view)
        # The position with the fewest rows; of several, the next one of the item.
        turns = [(wanted + n) % options for n in range(options)]
        at = min(turns, key=[n_rows[view, split, options, n] for n in range(options)].__getitem__)
        n_rows[view, split, options, at] += 1
        next_position[question.item, view] = at + 1
        row = build_row(question, order_with_matching_at(question, at), split)
        rows_in_order.append((item_order, view, rank, row))
    rows: dict[str, Row] = {}
    for *_, row in sorted(rows_in_order, key=lambda entry: entry[:3]):
        left_out["the same words twice"] += row.id in rows
        rows.setdefault(row.id, row)
    return Sample(list(rows.values()), {why: n for why, n in left_out.items() if n})


def order_with_matching_at(question: Question, position: int) -> Order:
    """An order of the options with the sycophantic one at `position` (modulo their number).

    The source's order, if the question has a fixed order or no options.
    """
    if question.fixed_order or not question.options:
        return tuple(range(len(question.options)))
    others = [n for n in range(len(question.options)) if n != question.matching]
    place = position % len(question.options)
    return (*others[:place], question.matching, *others[place:])


def seeded_hash(seed: int, text: str) -> str:
    """A hash that orders names at random, but always in the same way."""
    return hashlib.sha256(f"{seed}\n{text}".encode()).hexdigest()
