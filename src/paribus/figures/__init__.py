"""Figures: tidy tables in, matplotlib figures out; one drawing kind per file, found by its name.

A figure is declared as data (:class:`paribus.results.schema.Figure`): ``kind`` is the name of a file in this folder,
``tables`` the tables it reads (the main one first), ``columns`` gives each *role* of the drawing a column name (or a
list of them where the table below says "several"), ``options`` are plain settings. ``paribus.figures.draw.draw`` draws
it, ``paribus.figures.save.save`` writes PNG (180 dpi) and PDF. A role marked ``*`` is required; the others may be left
out, and a column that is declared but not in the table is refused. An unknown role or option is refused with the
nearest valid name. An empty table draws a panel that says "no data yet". NaN leaves a gap (a blank cell in a heatmap).

Roles with the same meaning everywhere: ``low``/``high`` ends of an interval; ``null``, ``null_low``, ``null_high``
median and quantiles of a named null (grey; name it with the option ``null_label``); ``group`` colour, line style and
marker; ``panel`` one panel for each value, side by side; ``n`` counts printed beside a row.

Options every kind takes: ``xlabel``, ``ylabel``, ``xlim`` and ``ylim`` (``[low, high]``; otherwise the axes fit the
data), ``least_span`` (the least that the axis of values spans, so that noise does not fill it), ``width``, ``height``
(inches), ``legend`` (false hides it), ``names`` (mapping of raw values to what is shown for them, e.g. ``{"probe":
"probe rows"}``, applied to groups, panels and labels), ``note`` (a line under the figure).

======================== ============================================= =============================================
kind                     roles                                         options
======================== ============================================= =============================================
curve                    x* y*(several) low high (as many as y) group  null_label, hline, vline (value, list, or
                         style(second grouping: line style) panel      mapping of label to value), logx, logy
                         null null_low null_high                       (true/false/"auto"), labels (names of several
                                                                       y), markers (true/false/"auto"), share_y,
                                                                       panel_columns, max_groups, group_label
heatmap                  x* y* value*(several: one panel each) panel   diverging (true/false, or a list per value),
                         mark(true: a star in the cell) outline(true:  center, vmin, vmax, value_label (or list),
                         a frame around the cell) n                    annotate (true/false/"auto"), format,
                                                                       x_order, y_order, share_scale, min_n
forest                   label* value*(several: one panel each) low    reference (0), null_label, sort ("none",
                         high group panel null null_low null_high n p  "value", "abs", "gap": first minus last value),
                         unit(axis of a panel) tick(a mark in the row) logx, max_rows, labels (names of several
                         flag(text beside the row)                     values), together (several values in one
                                                                       panel), tick_label, alpha (points with a
                                                                       larger p are open)
bars                     label* value*(several) low high group panel   reference (0), null_label, sort, horizontal
                         null null_low null_high                       (true/false/"auto"), labels, max_rows, logx
histogram                value*(several) group panel                   bins, density, share (of the group), lines
                                                                       (mapping of label to value), interval ([low,
                                                                       high], shaded), interval_label, labels,
                                                                       cumulative, observed (a value held against a
                                                                       null, with its p), null_group (drawn grey)
scatter                  x* y* low high x_low x_high label group size  label_top, identity, hline, vline, logx, logy,
                         panel                                         trend (a least-squares line), y_is_p (y is a p:
                                                                       drawn as -log10, with alpha and min_effect)
strip                    x*(category) y* pair(joined by a line from    interval ("t" or "none"), confidence, hline,
                         category to category) group panel null_low    null_label
                         null_high unit(axis label of a panel); second
                         table: mean low high (same x and panel)
interaction_matrix       a* b* value* p label(short word in the cell)  alpha, symmetric (true), value_label, max_rows,
                         panel                                         annotate, format, order, diverging (true),
                                                                       reach (of the scale)
dose_response            x* y* low high null null_low null_high        baseline (mean at the baseline level),
                         firing n support group                        null_label, threshold (x of a marked level),
                                                                       firing_baseline, hline
intervention_comparison  first table: condition* n_train seed epoch*   conditions (order of the columns), hline
                         raw* ablated*; second table: alpha* accuracy* (chance), min_runs_for_band, epoch_label,
                         (with the same condition, n_train, seed)      alpha_label, accuracy_label, logx, max_legend,
                                                                       confidence
======================== ============================================= =============================================

``hline``/``vline``: a number, a list of numbers, or a mapping such as ``{"chance": 0.5}``; labels go into the legend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paribus.lazy import offered

if TYPE_CHECKING:
    from paribus.figures.draw import kinds

__all__ = ["kinds"]
__getattr__, __dir__ = offered(__name__, __file__, __all__)
