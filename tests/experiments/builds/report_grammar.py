"""Reads the sentences of a feature's report back and holds every name and number in them against its tables.

Nothing of the code that writes the sentences is used here: each kind of sentence has a pattern of its own, and a
sentence that fits none is a failure.
"""

from __future__ import annotations

import math
import re

import numpy as np

NUMBER = r"[+-]?\d+(?:\.\d+)?"
EFFECT = (
    rf"(?P<mean>[+-]\d+\.\d\d) sd "
    rf"(?:\[(?P<low>{NUMBER}), (?P<high>{NUMBER})\]|in every source build|without an interval)"
)
ITEM = re.compile(
    r"(?P<name>[^,:;\[\]]+?)(?: \(from (?P<step>\d+) AP\)| \(at (?P<at>\d+) AP\))?"
    rf"(?: \((?P<size>\d+) weapons?\))? {EFFECT}"
)
CITED = re.compile(r"^(?P<text>.*) \((?P<table>\w+), (?P<word>rows?) (?P<rows>[\d, ]+|1 to \d+)\)\.$", re.DOTALL)
DRIVES, CORRELATED, UNDECIDED = "drives it", "only correlated", "undecided, n too small"
WORDS = {
    "beyond the least effect that counts, but no more than like features": "moves it, like other features",
    "for certain, but by less than counts": "moves it, less than counts",
    "for certain, but whether by as much as counts is open": "moves it, size undecided",
}
PLAIN = (
    "No set of families alone keeps it active in the contexts where it is highest.",
    "No pair could be tested for an interaction.",
    "Nothing that goes along with it is shown to have no effect that counts.",
)


class Reader:
    """One report and the results it was made from."""

    def __init__(self, report, results):
        """Hold them."""
        self.tables = {name: table.frame for name, table in report.tables.items()}
        self.results, self.sd = results, report.aggregates.custom["sd"]
        self.kinds = []

    def hold(self, sentence):
        """Hold one sentence against its table."""
        if sentence in PLAIN or sentence.startswith(("How to read this:", "Chosen on ")):
            return self._plain(sentence)
        found = CITED.match(sentence)
        assert found, f"no rows are named in: {sentence}"
        frame, text = self.tables[found["table"]], found["text"]
        if found["rows"].startswith("1 to "):
            rows = list(range(int(found["rows"][5:])))
        else:
            rows = [int(row) - 1 for row in found["rows"].split(", ")]
        assert (found["word"] == "row") == (len(rows) == 1), sentence
        self._grammar(text)
        self.kinds.append(found["table"])
        return getattr(self, f"_{found['table']}")(text, frame, rows)

    # What all sentences share ----------------------------------------------------------------------------------------

    def _plain(self, sentence):
        empty = {"No set": "cores", "No pair": "interactions"}
        for start, table in empty.items():
            if sentence.startswith(start):
                assert table not in self.tables or self.tables[table].empty or table == "interactions"
        if sentence == PLAIN[-1]:
            for table in ("drivers", "weapons"):
                assert table not in self.tables or not self.tables[table]["verdict"].eq(CORRELATED).any()

    @staticmethod
    def _grammar(text):
        """Hold numbers and nouns, and numbers and verbs, against each other."""
        for n, noun in re.findall(
            r"\b(\d+) (tokens?|weapons?|weapon classes|weapon class|other minimal cores?|pairs?|contexts?)\b", text
        ):
            plural = noun.endswith(("tokens", "weapons", "classes", "cores", "pairs", "contexts"))
            assert plural == (n != "1"), text
        for n, verb in re.findall(r"\b(\d+) (?:token|weapon)s? (moves?|goes|go)\b", text):
            assert verb in (("moves", "goes") if n == "1" else ("move", "go")), text

    def _number(self, said, value, digits=2):
        assert float(said) == float(f"{value:.{digits}f}"), (said, value)

    def _items(self, text, frame, rows, column):
        """Hold a list of names with effects against rows, in their order."""
        items = [item.groupdict() for item in ITEM.finditer(text)]
        assert len(items) == len(rows), text
        for item, place in zip(items, rows, strict=True):
            row = frame.iloc[place]
            assert item["name"].strip() == row[column], text
            if item["step"]:
                assert int(item["step"]) == row["step_from"]
            elif item["at"]:
                assert int(item["at"]) == row["standing_at"]
            elif "step_from" in row:
                assert row["step_from"] == 0
            if item["size"]:
                assert int(item["size"]) == row["n_weapons"]
            self._effect(item, row)

    def _effect(self, item, row, value="mean_delta"):
        self._number(item["mean"], row[value] / self.sd)
        low, high = row["ci_adj_low"], row["ci_adj_high"]
        if item["low"] is None:
            assert math.isnan(low)
        else:
            self._number(item["low"], low / self.sd)
            self._number(item["high"], high / self.sd)

    def _counted(self, text, n, shown):
        """Hold the number at the start of a list, and that of what is left out, against the table."""
        assert int(re.search(r"\b(\d+) (?:of \d+ )?(?:token|weapon)", text)[1]) == n
        more = re.search(r" and (\d+) more\b", text)
        assert (int(more[1]) if more else 0) == n - shown

    def _established(self, frame, rows):
        """Nothing is said to move the feature whose adjusted p or whose interval over all rows leaves 0 open."""
        for place in rows:
            row = frame.iloc[place]
            open_ = row["ci_adj_low"] <= 0 <= row["ci_adj_high"]
            assert row["p_adj"] <= 0.05 and not open_ and row["mean_delta"] != 0

    # One kind of sentence each ---------------------------------------------------------------------------------------

    def _moving(self, text, frame, rows, column):
        if text.startswith(("Only correlation:", "Undecided:")):
            return self._along(text, frame, rows, column)
        tested = frame[frame["p"].notna()]
        if "could be tested" in text:
            assert tested.empty and int(re.search(r": (\d+) context", text)[1]) == frame["n"].max() < 30
            return None
        if "tested effects is exactly 0" in text:
            assert tested["mean_delta"].eq(0).all() and int(re.search(r"each of (\d+)", text)[1]) == len(tested)
            return None
        if " is shown to move it beyond" in text:
            (place,) = rows
            assert not frame["verdict"].eq(DRIVES).any()
            assert tested["mean_delta"].abs().max() == abs(frame["mean_delta"].iloc[place])
            assert text.endswith(f": {frame['verdict'].iloc[place]}")
            return self._items(text.split("the largest effect")[1].split(" is ", 1)[1], frame, rows, column)
        mine = self._verdict_of(text, frame)
        self._established(frame, rows)
        assert rows == mine.index[: len(rows)].tolist() and len(rows) == min(len(mine), 4)
        self._counted(text, len(mine), len(rows))
        if " 95 %" in text:
            assert mine["null_percentile"].notna().all()
        return self._items(text.split(": ", 1)[1], frame, rows, column)

    def _verdict_of(self, text, frame):
        for word, sign in (("Raised by", 1), ("Lowered by", -1)):
            if text.startswith(word):
                return frame[frame["verdict"].eq(DRIVES) & (frame["mean_delta"] * sign > 0)]
        for said, verdict in WORDS.items():
            if said in text:
                return frame[frame["verdict"].eq(verdict)]
        if "no more than like features" in text:
            return frame[frame["verdict"].eq("moves it, like other features")]
        assert " in the same builds" in text, text
        assert int(re.search(r" of (\d+) weapons?", text)[1]) == len(frame)
        return frame[frame["verdict"].eq(DRIVES)]

    def _along(self, text, frame, rows, column):
        verdict = CORRELATED if text.startswith("Only") else UNDECIDED
        mine = frame[frame["verdict"].eq(verdict) & (frame["observed_p_adj"] <= 0.05)]
        assert rows == mine.index[: len(rows)].tolist() and len(rows) == min(len(mine), 8)
        listed = re.split(r", (?![^(]*\))", text.rsplit(": ", 1)[1].partition(" and ")[0])
        assert len(listed) == len(rows)
        for said, place in zip(listed, rows, strict=True):
            row = frame.iloc[place]
            assert said == (row[column] if verdict == CORRELATED else f"{row[column]} (n {int(row['n'])})")
            for stem in ("ci", "ci_adj"):  # a cause whose interval excludes 0 is never listed as a mere correlation
                inside = row[f"{stem}_low"] <= 0 <= row[f"{stem}_high"]
                assert inside or verdict == UNDECIDED, text
        assert int(re.search(r": (\d+) ", text)[1]) == len(mine)

    def _drivers(self, text, frame, rows):
        return self._moving(text, frame, rows, "token")

    def _weapons(self, text, frame, rows):
        return self._moving(text, frame, rows, "weapon")

    def _weapon_classes(self, text, frame, rows):
        mine = frame[frame["verdict"].eq(DRIVES)]
        self._established(frame, rows)
        assert (mine["p_kit_adj"] <= 0.05).all() and int(re.search(r"for (\d+) weapon class", text)[1]) == len(mine)
        return self._items(text.split(": ", 1)[1], frame, rows, "kind")

    def _doses(self, text, frame, rows):
        (place,) = rows
        row = frame.iloc[place]
        sweep = next(r for r in self.results if r.aggregates.custom.get("family") == row["family"])
        levels, first = sweep.tables["rung_deltas"].frame, text.split("; ")
        assert first[0].startswith(f"{row['family']} ")
        tested = levels[levels["p"].notna() & (levels["rung"] > 0)]
        if "does nothing" in first[0]:
            assert tested["mean_delta"].eq(0).all()
        else:
            at = re.search(rf"largest at (\d+) AP: {EFFECT}", text)
            largest = tested.loc[tested["mean_delta"].abs().idxmax()]
            assert int(at[1]) == largest["rung"] == row["largest_at"]
            self._effect(at.groupdict(), largest)
            start = re.search(r" shows from (\d+) AP on", first[0])
            known = sweep.aggregates.custom["threshold_rung"]
            assert (int(start[1]) if start else None) == known
        self._slope(text, sweep.aggregates.custom)
        seen = re.search(rf"differ by ({NUMBER}) sd \(gap ({NUMBER})\)", text)
        if seen:
            self._number(seen[1], row["observational_delta"] / self.sd)
            self._number(seen[2], row["confounding_gap"] / self.sd)
        else:
            assert math.isnan(row["observational_delta"]) and "no build here happens to show that rung" in text
        untested = levels[(levels["rung"] > 0) & levels["p"].isna()]
        for _, level in untested.iterrows():
            assert f"{level['label']}: {level['untested'].partition(' (')[0]}" in text

    def _slope(self, text, custom):
        within = rf"(?:\[({NUMBER}), ({NUMBER})\]|in every source build)"
        said = re.search(rf"slope ({NUMBER}) sd per AP {within} up to (\d+) AP", text)
        if custom["slope_per_ap"] is None or "does nothing" in text:
            assert "slope" not in text
            return
        self._number(said[1], custom["slope_per_ap"] / self.sd, 4)
        if said[2]:
            self._number(said[2], custom["slope_per_ap_low"] / self.sd, 4)
            self._number(said[3], custom["slope_per_ap_high"] / self.sd, 4)
        assert int(said[4]) == custom["slope_up_to"]

    def _cores(self, text, frame, rows):
        assert rows == [0]
        row = frame.iloc[0]
        said = re.search(
            r"Where it is highest, (.+) alone keeps it in (\d+)% of (\d+) contexts? "
            r"(?:\[(\d+)%, (\d+)%\]|without an interval)",
            text,
        )
        assert said[1] == row["core"] and int(said[3]) == row["n_holding"]
        for value, name in zip(said.group(2, 4, 5), ("coverage", "coverage_low", "coverage_high"), strict=True):
            assert value == (None if math.isnan(row[name]) else f"{100 * row[name]:.0f}")
        others = re.search(r"; (\d+|no) other minimal core", text)[1]
        assert (0 if others == "no" else int(others)) == len(frame) - 1

    def _interactions(self, text, frame, rows):
        (place,) = rows
        whole = next(r for r in self.results if r.experiment_type == "pairwise_interactions").tables["interactions"]
        looked, _, rest = text.partition("; ")
        n, said = re.match(r"(\d+) pairs? looked at: (.+)", looked).groups()
        labels = {
            "none established": "none",
            "third order": "third_order",
            "output nonlinearity": "output_nonlinearity",
        }
        counts = {labels.get(k, k): int(v) for k, v in re.findall(r"([a-z ]+?) (\d+)(?:, |$)", said)}
        assert int(n) == len(whole.frame) and counts == whole.frame["label"].value_counts().to_dict()
        size = whole.frame.loc[whole.frame["p"].notna(), "interaction_activation"].abs()
        if rest == "every interaction that was tested is exactly 0":
            assert size.eq(0).all()
            return
        largest = rf"the largest is (.+) x (.+?), {EFFECT}, ([a-z ]+)(?:, percentile (\d+) of like features)?$"
        found = re.match(largest, rest)
        row = frame.iloc[place]
        assert abs(row["interaction_activation"]) == size.max()
        assert (found[1], found[2]) == (row["token_a"], row["token_b"])
        self._effect(found.groupdict(), row, "interaction_activation")
        label, percentile = found.groups()[-2:]
        assert labels.get(label, label) == row["label"]
        if percentile is None:
            assert math.isnan(row["null_percentile"])
        else:
            self._number(percentile, row["null_percentile"], 0)

    def _output(self, text, frame, rows):
        assert rows == list(range(6))
        up, down = re.search(r"raises (.+) and lowers (.+); really set", text).groups()
        assert up.split(", ") == frame["token"].iloc[:3].tolist()
        assert down.split(", ") == frame["token"].iloc[3:].tolist()
        decoder = next(r for r in self.results if r.experiment_type == "decoder_output_analysis")
        effects = decoder.tables["token_effects"].frame.set_index("token")["centred"]
        assert effects[up.split(", ")].min() >= effects.nlargest(3).min()
        assert effects[down.split(", ")].max() <= effects.nsmallest(3).max()
        assert text.endswith("changed as predicted") == decoder.aggregates.custom["prediction_holds"]

    def _checks(self, text, frame, rows):
        (place,) = rows
        row = frame.iloc[place]
        said = re.search(rf"\((\w+)\)\? (Yes|No|Not shown): (.+) ({NUMBER}|nan), p (\S+)$", text)
        assert said[1] == row["target"] and said[3] == row["statistic"]
        assert (said[2] == "Not shown") == (not row["passed"])
        assert said[4] == f"{row['value']:.2f}" and said[5] == f"{row['p']:.2g}"

    def _survey(self, text, frame, rows):
        row = frame.iloc[rows[0]]
        assert text.startswith(f"Latent {row['feature_id']} fires in {row['firing_rate']:.0%}; {row['leading']} ")
        shares = [int(each) for each in re.findall(r"(\d+)%", text)]
        names = ("firing_rate", "selectivity", "selectivity_other_half")
        assert shares == [int(f"{100 * row[name]:.0f}") for name in names]
        for name, rung, delta in re.findall(rf"(\w+) at (\d+) AP \(({NUMBER}) sd\)", text):
            (which,) = (i for i in (1, 2) if row[f"family_{i}"] == name)
            assert int(rung) == row[f"rung_{which}"]
            self._number(delta, row[f"delta_{which}"])
        moved = [row[f"delta_{i}"] for i in (1, 2)]
        assert ("no stacking family" in text) == np.equal(moved, 0).all()

    _chosen = _survey
