"""Charts as Vega-Lite: dots with whiskers, lines with bands, and a grid of numbers.

Data are long: a row a mark. Columns `value`, `low` and `high` are an estimate with its 95%
interval; `null_low` and `null_high` what chance gives; `n` how many answers there are. The page
adds sizes, colours of text and the data itself (assets/figures.js).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
AUROC = {"title": "AUROC on test (0.5 is chance)", "domain": [0, 1], "chance": 0.5}
"""The axis of an AUROC."""
LOG = {"type": "log", "nice": False, "padding": 8}
"""The scale of an axis on which steps are ratios."""
CHANCE = {"strokeDash": [4, 3], "strokeWidth": 1}
KNOWN_NULL = [{"filter": {"field": "null_low", "valid": True}}]
"""Rows that have a null: often those of the first series alone."""
ROW, SERIES_ROW = 8, 13
"""Pixels of a row of dots: between two rows, and for each of its series."""


def dots(
    axis: Mapping[str, Any],
    rows: str,
    series: Mapping[str, str],
    panels: Sequence[str] = (),
    null: bool = False,
) -> Spec:
    """Horizontal dots with whiskers: a row a value of the column `rows`.

    `series` has a colour for each value of the column `series`, and `axis` has `title`, perhaps
    `domain` and `chance`. With `panels`, there is one for each of these values of the column
    `panel`. With `null`, a grey band spans `null_low` to `null_high`.
    """
    place: Spec = {"y": {"field": rows, "type": "nominal", "sort": None, "title": None}}
    if len(series) > 1:
        place["yOffset"] = {"field": "series", "sort": [*series]}
    x, colour = _axis(axis), _colour(series)
    layers: list[Spec] = []
    if null:
        band = {"x": x | {"field": "null_low"}, "x2": {"field": "null_high"}}
        layers.append({"mark": "bar", "transform": KNOWN_NULL, "encoding": place | band})
    layers += _chance(axis, "x")
    whisker = {"x": x | {"field": "low"}, "x2": {"field": "high"}}
    layers += [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": place | whisker | colour},
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": place | {"x": x | {"field": "value"}, **_tooltip(rows, null)} | colour,
        },
    ]
    height = {"step": ROW + SERIES_ROW * len(series), "for": "position"}
    return _panels({"height": height, "layer": layers}, panels)


def lines(
    axis: Mapping[str, Any],
    x: Mapping[str, Any],
    series: Mapping[str, str],
    panels: Sequence[str] = (),
    null: bool = False,
) -> Spec:
    """Lines over the column `x` with 95% bands, a colour a `series`; as `dots` besides.

    With `panels`, only the first series has a band: several in a small panel hide one another.
    """
    place = {"x": {"type": "quantitative", **x}}
    y, colour = _axis(axis), _colour(series)
    layers: list[Spec] = []
    if null:
        null_band = {"y": y | {"field": "null_low"}, "y2": {"field": "null_high"}}
        mark = {"type": "area", "opacity": 0.6}
        layers.append({"mark": mark, "transform": KNOWN_NULL, "encoding": place | null_band})
    layers += _chance(axis, "y")
    band: Spec = {
        "mark": {"type": "area", "opacity": 0.18},
        "encoding": place | {"y": y | {"field": "low"}, "y2": {"field": "high"}} | colour,
    }
    if panels:
        band["transform"] = [{"filter": {"field": "series", "equal": next(iter(series))}}]
    value = {"y": y | {"field": "value"}}
    hover = _tooltip(str(x["field"]), null)
    layers += [
        band,
        {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": place | value | colour},
        {
            "mark": {"type": "point", "filled": True, "size": 26, "opacity": 1},
            "encoding": place | value | hover | colour,
        },
    ]
    return _panels({"height": 170, "layer": layers}, panels)


def grid(rows: str, columns: str, title: str, chance: float) -> Spec:
    """Numbers in a grid of the columns `rows` and `columns`, coloured by how far from `chance`."""
    y = {"field": rows, "type": "nominal", "sort": None, "title": None}
    x = {"field": columns, "type": "nominal", "sort": None, "title": None}
    x["axis"] = {"orient": "top"}
    dark = f"abs(datum.value - {chance}) > 0.28"
    return {
        "height": {"step": 34},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "rect"},
                "encoding": {
                    "color": {
                        "field": "value",
                        "type": "quantitative",
                        "title": title,
                        "scale": {"scheme": "purpleorange", "domain": [0, 1], "reverse": True},
                    },
                    **_tooltip(rows, False, columns),
                },
            },
            {
                "mark": {"type": "text", "fontSize": 12},
                "encoding": {
                    "text": {"field": "value", "type": "quantitative", "format": ".2f"},
                    "color": {"condition": {"test": dark, "value": "white"}, "value": "black"},
                },
            },
        ],
    }


def strips(
    axis: Mapping[str, Any], rows: str, series: Mapping[str, str], panels: Sequence[str]
) -> Spec:
    """A tick an answer at `value`, a row a value of the column `rows`; `words` on hovering."""
    words = [
        {"field": "words", "type": "nominal", "title": "question"},
        {"field": "value", "type": "quantitative", "format": ".3g", "title": str(axis["title"])},
        {"field": "wanted", "type": "nominal", "title": "the user wants"},
    ]
    return _panels(
        {
            "height": {"step": 30},
            "mark": {"type": "tick", "thickness": 2, "opacity": 0.75, "bandSize": 20},
            "encoding": {
                "x": {"field": "value", "type": "quantitative", "title": axis["title"]},
                "y": {"field": rows, "type": "nominal", "sort": [*series], "title": None},
                "tooltip": words,
                **_colour(series, legend=False),
            },
        },
        panels,
    )


def _axis(axis: Mapping[str, Any]) -> Spec:
    settings: Spec = {"type": "quantitative", "title": axis["title"], "axis": {"tickCount": 5}}
    if "domain" in axis:
        settings["scale"] = {"domain": [*axis["domain"]]}
    return settings


def _chance(axis: Mapping[str, Any], channel: str) -> list[Spec]:
    """A thin line at what chance gives, where the axis has such a place."""
    if "chance" not in axis:
        return []
    return [{"mark": {"type": "rule", **CHANCE}, "encoding": {channel: {"datum": axis["chance"]}}}]


def _colour(series: Mapping[str, str], legend: bool = True) -> Spec:
    shown = (
        {"title": None, "orient": "top", "symbolType": "circle", "symbolOpacity": 1}
        if legend
        else None
    )
    if len(series) < 2:
        shown = None
    scale = {"domain": [*series], "range": [*series.values()]}
    encoding: Spec = {"field": "series", "type": "nominal", "scale": scale}
    encoding["legend"] = shown if legend and len(series) > 1 else None
    return {"color": encoding}


def _tooltip(first: str, null: bool, second: str = "series") -> Spec:
    words = [{"field": name, "type": "nominal", "title": name} for name in (second, first)]
    numbers = {"value": "value", "low": "95% from", "high": "to"}
    if null:
        numbers |= {"null_low": "chance from", "null_high": "to "}
    fields = [
        {"field": name, "type": "quantitative", "format": ".2f", "title": title}
        for name, title in numbers.items()
    ]
    return {"tooltip": [*words, *fields, {"field": "n", "type": "quantitative", "title": "n"}]}


def _panels(spec: Spec, panels: Sequence[str]) -> Spec:
    if not panels:
        return spec
    header = {"title": None, "labelFontWeight": "bold"}
    facet = {"field": "panel", "type": "nominal", "sort": [*panels], "header": header}
    return {"facet": facet, "columns": len(panels), "spec": spec}
