"""The first screen: the verdict on each model as a small table, and the controls beneath it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sycophancy_steering.formatting.numbers import Interval, interval_text, number_text
from sycophancy_steering.page.dots_svg import SHARES, covering, dot
from sycophancy_steering.page.section import named
from sycophancy_steering.page.simpler import Simpler, simpler_things
from sycophancy_steering.page.study import Study
from sycophancy_steering.report.predictivity import CHANCE
from sycophancy_steering.storage.cell_files import POSITIONS

YES, NO, UNCLEAR = "yes", "no", "unclear"
BEFORE, AFTER = POSITIONS["prompt"], POSITIONS["continuation"]


@dataclass(frozen=True)
class Cell:
    """One family's number in a row: a picture, the number, and what it stands beside."""

    picture: Markup
    number: str
    beside: str
    """The null or the control, in words."""
    n: int | None


@dataclass(frozen=True)
class Row:
    """One question, its verdict in a word, and the numbers by family."""

    question: str
    section: str
    """The anchor of the section that tells more."""
    tone: str
    """`yes`, `no` or `unclear`."""
    verdict: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class ModelVerdict:
    """The table of one model."""

    model: str
    sentence: str
    families: Sequence[str]
    """Its columns: those in which there is something to predict."""
    left_out: Sequence[str]
    """The others, each with its numbers, in words."""
    rows: Sequence[Row]
    caveat: str


def model_verdict(study: Study) -> ModelVerdict:
    """What the study found about its model."""
    facts = study.verdict
    simpler = [one for one in simpler_things(study) if one.family in facts["families"]]
    rows = [
        _behaves(facts, study.families),
        _predicts(facts, BEFORE, "Does the vector predict it before it answers?"),
        _predicts(facts, AFTER, "And after it has answered?"),
        _better(simpler),
        _causes(facts),
        *([_detectable(facts)] if facts["detectable"] else []),
    ]
    left_out = [
        f"{named([one['family']])} {number_text(one['rate'].value)} against "
        f"{number_text(one['control_rate'].value)} {one['control']}"
        for one in facts["behaviour"]
        if one["family"] not in study.families and one["rate"] and one["control_rate"]
    ]
    return ModelVerdict(
        study.model, sentence(rows), study.families, left_out, rows, caveat(facts, simpler)
    )


def _behaves(facts: Mapping[str, Any], families: Sequence[str]) -> Row:
    of_all = facts["behaviour"]
    moved = [one["family"] for one in of_all if one["sycophantic"]]
    cells = {}
    for one in of_all:
        if one["family"] in families and one["rate"]:
            control = one["control_rate"]
            tick = control.value if control else None
            beside = f"{number_text(tick)} {one['control']}" if control else "no control"
            picture = dot(one["rate"], SHARES, tick=tick)
            cells[one["family"]] = Cell(picture, interval_text(one["rate"]), beside, one["n"])
    tone = YES if moved else NO
    verdict = f"Yes, on {len(moved)} of {len(of_all)} kinds of question" if moved else "No"
    return Row("Is it sycophantic?", "behaviour", tone, verdict, cells)


def _predicts(facts: Mapping[str, Any], position: str, question: str) -> Row:
    by_outcome = facts["predictions"][position]
    cells = {
        one["family"]: Cell(
            dot(one["auroc"], SHARES, null=one["random"], tick=CHANCE),
            interval_text(one["auroc"]),
            f"random {number_text(one['random'].low)} to {number_text(one['random'].high)}",
            one["n"],
        )
        for outcome in by_outcome.values()
        for one in outcome
    }
    beyond = [one["family"] for one in by_outcome["predicted"] if not one["as_random"]]
    if beyond:
        tone, verdict = YES, f"Yes, on {len(beyond)} of {len(cells)}"
    elif by_outcome["predicted"]:
        tone, verdict = UNCLEAR, "No better than random directions"
    elif by_outcome["opposite"]:
        tone, verdict = UNCLEAR, "Only upside down: higher where it does not give in"
    elif cells:
        tone, verdict = NO, "Not shown on any"
    else:
        tone, verdict = UNCLEAR, "Nothing to predict"
    return Row(question, "prediction", tone, verdict, cells)


def _better(simpler: Sequence[Simpler]) -> Row:
    cells = {}
    for one in simpler:
        name, auroc = one.best
        picture = dot(auroc, SHARES, null=one.random, tick=one.vector.value)
        beside = f"by {name}, vector {number_text(one.vector.value)}"
        cells[one.family] = Cell(picture, interval_text(auroc), beside, one.n)
    better = [one for one in simpler if one.better]
    if better:
        verdict = f"Better than {named(sorted({one.best[0] for one in better}))}, on {len(better)}"
        return Row("Better than what?", "simpler", YES, f"{verdict} of {len(simpler)}", cells)
    names = [one.best[0] for one in simpler]
    verdict = (
        f"Not shown to beat {named([*dict.fromkeys(names)])}" if names else "Nothing to compare"
    )
    return Row("Better than what?", "simpler", NO if names else UNCLEAR, verdict, cells)


def _causes(facts: Mapping[str, Any]) -> Row:
    effects = facts["effects"]
    scale = covering([one[name] for one in effects for name in ("shift", "random")])
    cells = {
        one["family"]: Cell(
            dot(one["shift"], scale, null=one["random"], tick=0.0),
            f"{interval_text(one['shift'])} log-odds",
            f"random {number_text(one['random'].low)} to {number_text(one['random'].high)}",
            one["n"],
        )
        for one in effects
    }
    causes = [one["family"] for one in effects if one["causes"]]
    if causes:
        tone, verdict = YES, f"Yes, on {len(causes)} of {len(effects)}: adding it moves the answer"
    elif effects:
        tone, verdict = NO, f"Adding it does no more than {effects[0]['n_random']} random vectors"
    else:
        tone, verdict = UNCLEAR, "Not tried"
    return Row("Is it the cause?", "cause", tone, verdict, cells)


def _detectable(facts: Mapping[str, Any]) -> Row:
    cells = {}
    for one in facts["detectable"]:
        auroc = one["detectable_auroc"]
        estimate = Interval(auroc, auroc, 1.0)
        number = f"{number_text(auroc)} or more"
        cells[one["family"]] = Cell(
            dot(estimate, SHARES, tick=CHANCE), number, "true AUROC", one["n"]
        )
    least = min(one["detectable_auroc"] for one in facts["detectable"])
    verdict = f"Only an AUROC of {number_text(least)} or more, in 4 studies of 5"
    return Row("What could have been found?", "power", UNCLEAR, verdict, cells)


def sentence(rows: Sequence[Row]) -> str:
    """The verdict in words, from the rows of the table."""
    behaves, before, after, better, causes = rows[:5]
    if behaves.tone == NO:
        return "The user's words do not move its answers, so there is nothing to predict."
    first = f"It gives in to the user on {behaves.verdict.removeprefix('Yes, on ')}. "
    if before.tone == YES:
        predicts = "Its steering vector predicts whether it will, before it answers"
        predicts += (
            ", and better than simpler things"
            if better.tone == YES
            else (", but nothing shows that it does so better than simpler things")
        )
    else:
        predicts = "Nothing shows that its steering vector predicts this before it answers"
        if after.tone == YES:
            predicts += " (it does once it has answered)"
    cause = {
        YES: "; adding the vector moves the answers, so it is a cause.",
        NO: ", nor that the vector is a cause."
        if before.tone != YES
        else "; nothing shows that it is a cause.",
        UNCLEAR: "; whether it is a cause was not tried.",
    }
    return first + predicts + cause[causes.tone]


def caveat(facts: Mapping[str, Any], simpler: Sequence[Simpler]) -> str:
    """What a reader has to know before believing any of it."""
    parts = []
    if simpler:
        fewest = min(simpler, key=lambda one: one.n_items)
        parts.append(
            f"The test has few questions: {fewest.n} answers about {fewest.n_items} topics "
            f"({named([fewest.family])}) up to {max(one.n for one in simpler)}, "
            "so “not shown” does not mean “not there”."
        )
    if facts["too_few"]:
        parts.append(f"Hardly any answer of one kind, so no claim: {named(facts['too_few'])}.")
    if any(one.margin_is_label for one in simpler):
        parts.append(
            "Labels are read from the model's own log-probabilities, which its logit margin knows "
            "by definition."
        )
    return " ".join(parts)
