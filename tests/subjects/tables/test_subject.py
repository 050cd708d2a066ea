"""Tables as contexts: what edits do to inputs, and what comes of it in a network whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from paribus.errors import ConfigError
from paribus.measure import Executor, Outputs, crossed
from paribus.measure.binding import Binding
from paribus.subjects.tables.factors import Column, Columns, Donor, Permute
from paribus.subjects.tables.subject import TableSubject
from paribus.subjects.tables.table import Table


@pytest.fixture(scope="module")
def data(tmp_path_factory, planted_hospitals):
    file = planted_hospitals.write_hospitals(tmp_path_factory.mktemp("t") / "t.csv", n_patients=20)
    return Table(
        path=str(file), label="sick", domain="hospital", cluster="patient", val_domain="east", ood_domain="west"
    ).load()


class Reads(nn.Module):
    """A network that adds up some inputs."""

    def __init__(self, weights):
        super().__init__()
        self.last = nn.Linear(len(weights), 1, bias=False)
        self.last.weight.data = torch.tensor([weights])

    def forward(self, x):
        return self.last(x)


def executor(data, **weights):
    names = TableSubject(data).contexts.input_names
    return Executor(Reads([float(weights.get(name.replace("=", "_"), 0.0)) for name in names]), TableSubject(data))


def bound(spec, at, seed=0):
    return spec.bound(Binding(executor=at, place="", rng=np.random.default_rng(seed)))


def measured(at, design):
    """Return the first output ``[conditions, n]`` of a design."""
    return at.stream(design, Outputs()).collected(len(at.subject)).values[0]


def test_rows_are_contexts_with_their_clusters_domains_and_labels(data):
    subject = TableSubject(data)
    assert (len(subject), subject.name) == (len(data.labels), "tables")
    assert np.array_equal(subject.cluster, data.clusters) and np.array_equal(subject.domain, data.domains)
    assert subject.output_names == ("no", "yes") and subject.domain_names == data.domain_names
    cells = subject.cells(np.arange(5))
    assert torch.equal(subject.inputs(cells).tensors[0], data.inputs[:5])


def test_a_column_is_set_to_values_of_the_file_and_nothing_else_moves(data):
    at = executor(data, marker=1.0, batch=1.0)
    factor = bound(Column(column="marker", values=[7, 10, 13]), at)
    assert factor.labels == ("7", "10", "13") and factor.doses == (7.0, 10.0, 13.0)
    found = measured(at, factor.design())
    scale = data.column("marker").scale
    assert np.allclose(np.diff(found, axis=0), 3.0 / scale, atol=1e-5)
    assert np.allclose(found[0] - (7 - data.column("marker").mean) / scale, data.inputs[:, 1].numpy(), atol=1e-5)


def test_the_levels_of_a_categorical_column_are_its_categories_and_rows_show_one(data):
    at = executor(data, ward_a=1.0, ward_b=5.0)
    factor = bound(Column(column="ward"), at)
    assert factor.labels == ("a", "b") and factor.doses is None
    found = measured(at, factor.design())
    assert (found[0] == 1.0).all() and (found[1] == 5.0).all()
    shown = factor.observed(np.arange(len(at.subject)))
    assert np.array_equal(shown, data.inputs[:, data.column("ward").slots].argmax(1).numpy())


def test_the_levels_of_a_number_are_quantiles_of_training_rows(data):
    at = executor(data)
    factor = bound(Column(column="marker"), at)
    own = data.column("marker").decode(data.inputs[data.rows("train"), :1].double().numpy()).astype(float)
    assert np.allclose(factor.doses, np.quantile(own, [0.1, 0.3, 0.5, 0.7, 0.9]), rtol=1e-4)
    assert set(factor.observed(np.arange(len(at.subject)))) == {-1}


def test_two_columns_can_be_crossed(data):
    at = executor(data, marker=1.0, ward_b=10.0)
    one, other = bound(Column(column="marker", values=[10, 13]), at), bound(Column(column="ward"), at)
    found = measured(at, crossed(one, other))
    assert np.allclose(found[1] - found[0], 10.0, atol=1e-4) and np.allclose(found[3] - found[2], 10.0, atol=1e-4)
    assert np.allclose(found[2] - found[0], 3.0 / data.column("marker").scale, atol=1e-4)


def test_a_donor_gives_what_its_domain_has(data):
    at = executor(data, batch=1.0)
    factor = bound(Donor(columns=["batch"]), at)
    assert factor.labels == ("as it is", "from east", "from north", "from south", "from west")
    found = measured(at, factor.design())
    batch = data.inputs[:, data.column("batch").start].numpy()
    assert np.allclose(found[0], batch)
    for level, domain in enumerate(range(4), start=1):
        own = data.domains == domain
        assert np.isnan(found[level, own]).all(), "no row is a donor of its own domain"
        assert np.isin(np.float32(found[level, ~own]), batch[own]).all()


def test_donors_have_the_label_of_the_row(data):
    at = executor(data, marker=1.0)
    for same, expected in ((True, True), (False, False)):
        factor = bound(Donor(columns=["marker"], domains=["west"], same_label=same), at)
        given = factor.donors[0]
        there = given >= 0
        assert (data.labels[given[there]] == data.labels[there]).all() == expected


def test_columns_are_permuted_within_split_and_domain(data):
    at = executor(data, batch=1.0)
    factor = bound(Permute(columns=["batch", "marker"]), at)
    (donors,) = factor.donors
    assert sorted(donors) == list(range(len(donors))) and (donors != np.arange(len(donors))).all()
    assert np.array_equal(data.domains[donors], data.domains)
    for rows in data.splits.values():
        assert np.isin(donors[rows], rows).all()
    assert np.array_equal(data.labels[bound(Permute(columns=["batch"], within="label"), at).donors[0]], data.labels)


def test_columns_that_are_off_have_the_baseline_of_the_rows_it_was_fitted_on(data):
    at = executor(data, marker=1.0, ward_a=1.0, ward_b=5.0)
    rows = data.rows("id_val")
    units = bound(Columns(columns=["marker", "ward"]), at).fit(at, rows)
    on = np.array([[True, True], [False, True], [True, False], [False, False]])
    found = measured(at, units.design(on))
    marker, ward = data.inputs[:, 0].numpy(), data.inputs[:, data.column("ward").slots].numpy() @ [1.0, 5.0]
    middle = float(data.inputs[rows, 0].double().mean())
    usual = (1.0, 5.0)[int(data.inputs[rows][:, data.column("ward").slots].sum(0).argmax())]
    for got, wanted in zip(found, (marker + ward, middle + ward, marker + usual, middle + usual), strict=True):
        assert np.allclose(got, wanted, atol=1e-5)
    soft = bound(Columns(columns=["ward"], baseline="mean"), at).fit(at, rows)
    share = data.inputs[rows][:, data.column("ward").slots].double().mean(0).numpy() @ [1.0, 5.0]
    assert np.allclose(measured(at, soft.design(np.array([[False]])))[0] - marker, share, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Column(column="markr"), "experiment.factor: no such column 'markr'; did you mean 'marker'"),
        (Column(column="ward", values=["a", "c"]), "column ward: no such category 'c'; valid: a, b"),
        (Column(column="marker", values=["high", "low"]), "column marker: is numeric, 'high' is no number"),
        (Column(column="marker", values=[3]), "needs two values or more, all different"),
        (Column(column="marker", values=[3, 3]), "needs two values or more, all different"),
        (Donor(columns=["batch"], domains=["nroth"]), "no such domain 'nroth'; did you mean 'north'"),
        (Columns(columns=["marker", "wrad"]), "no such column 'wrad'; did you mean 'ward'"),
    ],
)
def test_wrong_names_are_refused_when_a_factor_is_bound(data, spec, said):
    with pytest.raises(ConfigError, match=said):
        bound(spec, executor(data))
