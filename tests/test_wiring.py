"""Wirings: content, rules, files, graphs and pictures."""

from __future__ import annotations

import copy
import importlib
import json
import os
import pickle
import re
import xml.etree.ElementTree as ET
from types import ModuleType

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidtorch.errors import DataError, FormatError, OptionError, ShapeError
from liquidtorch.wiring import Wiring, auto_ncp, full, make, ncp, random, small_world

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def wirings() -> ModuleType:
    """Give the wirings of ncps 1.0.1, the oracle; only outside CI may it be missing."""
    if not os.environ.get("CI"):
        return pytest.importorskip("ncps.wirings")
    return importlib.import_module("ncps.wirings")


def example() -> Wiring:
    return auto_ncp(16, 5, 3, seed=3)


# ---- content ----


def test_matrices_are_copied_and_cannot_be_written() -> None:
    source = np.array([[0, 1], [-1, 0]])
    wiring = Wiring(source, [[1], [0]], outputs=1)
    source[0, 0] = 1
    assert wiring.recurrent[0, 0] == 0
    for matrix in (wiring.recurrent, wiring.sensory, copy.deepcopy(wiring).recurrent):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1
    with pytest.raises(AttributeError):
        wiring.outputs = 2  # type: ignore[misc]


def test_counts() -> None:
    wiring = Wiring([[0, 1], [-1, 1]], [[1, 0, 0], [0, -1, 0]], outputs=1)
    found = (wiring.units, wiring.features, wiring.outputs, wiring.synapses, wiring.sensory_synapses, wiring.density)
    assert found == (2, 3, 1, 3, 2, 0.75)
    assert wiring.recurrent.dtype == np.int8


def test_equality_is_of_content() -> None:
    a, b = example(), example()
    assert a == b
    assert hash(a) == hash(b)
    assert a == Wiring(a.recurrent, a.sensory, a.outputs, a.roles, name="another name")
    flipped = a.recurrent.copy()
    flipped[np.nonzero(flipped)[0][0], np.nonzero(flipped)[1][0]] *= -1
    assert a != Wiring(flipped, a.sensory, a.outputs, a.roles)
    assert a != Wiring(a.recurrent, a.sensory, a.outputs)
    assert a != "wiring"
    assert pickle.loads(pickle.dumps(a)) == a == copy.copy(a)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"recurrent": [[0, 2], [0, 0]]},
            DataError,
            r"`recurrent` must hold -1, 0 and 1 only; got 2 \(row 0, column 1\)",
        ),
        ({"sensory": [[0.5], [0]]}, DataError, r"`sensory` must hold .* got 0.5 \(row 0, column 0\).*numpy.sign"),
        ({"recurrent": [[0, 1]]}, ShapeError, r"`recurrent` must have the shape \(units, units\); got \(1, 2\)"),
        ({"recurrent": [0, 1]}, ShapeError, "`recurrent` must have the shape"),
        ({"sensory": [[1]]}, ShapeError, r"`sensory` must have the shape \(units=2, features\); got \(1, 1\)"),
        ({"sensory": np.zeros((2, 0))}, ShapeError, "at least one unit and one feature"),
        ({"outputs": 3}, OptionError, "`outputs` must be a whole number at least 1 and at most 2; got 3"),
        ({"outputs": 0}, OptionError, "`outputs` must be a whole number at least 1"),
        ({"roles": ["motor"]}, OptionError, "`roles` must name a role for each of 2 units; got 1"),
        ({"roles": ["motor", "intr"]}, OptionError, "Did you mean 'inter'"),
        (
            {"roles": ["inter", "motor"]},
            OptionError,
            r"`roles` must have the 1 motor units first and no others; got motor units at \[1\]",
        ),
    ],
)
def test_what_cannot_be_a_wiring(change: dict, error: type[Exception], text: str) -> None:
    arguments = {"recurrent": [[0, 1], [1, 0]], "sensory": [[1], [1]], "outputs": 1} | change
    with pytest.raises(error, match=text):
        Wiring(**arguments)


# ---- rules, held against ncps ----


@pytest.mark.parametrize("seed", [0, 1, 22222])
@pytest.mark.parametrize(
    ("units", "features", "outputs", "sparsity"),
    [(16, 8, 4, 0.5), (64, 16, 8, 0.8), (9, 2, 1, 0.3), (20, 1, 3, 0.9), (40, 70, 2, 0.1)],
)
def test_auto_ncp_is_that_of_ncps(
    wirings: ModuleType, units: int, features: int, outputs: int, sparsity: float, seed: int
) -> None:
    theirs = wirings.AutoNCP(units, outputs, sparsity, seed=seed)
    theirs.build(features)
    ours = auto_ncp(units, features, outputs, density=1 - sparsity, seed=seed)
    np.testing.assert_array_equal(ours.recurrent, theirs.adjacency_matrix.T)
    np.testing.assert_array_equal(ours.sensory, theirs.sensory_adjacency_matrix.T)
    assert ours.roles == tuple(theirs.get_type_of_neuron(i) for i in range(units))


@pytest.mark.parametrize(
    ("inter", "command", "motor", "seed"),
    # narrow fans leave units to be reached afterwards; in the last case by as many synapses as ncps allows
    [(18, 5, 9, 0), (18, 5, 9, 1), (18, 5, 9, 2), (12, 5, 2, 2), (12, 5, 2, 5), (20, 3, 2, 1614)],
)
def test_ncp_is_that_of_ncps(wirings: ModuleType, inter: int, command: int, motor: int, seed: int) -> None:
    theirs = wirings.NCP(inter, command, motor, 1, 1, 7, 1, seed=seed)
    theirs.build(4)
    fans = {"sensory_fanout": 1, "inter_fanout": 1, "recurrent_command": 7, "motor_fanin": 1}
    ours = ncp(inter, command, motor, 4, **fans, seed=seed)
    np.testing.assert_array_equal(ours.recurrent, theirs.adjacency_matrix.T)
    np.testing.assert_array_equal(ours.sensory, theirs.sensory_adjacency_matrix.T)


@pytest.mark.parametrize("self_connections", [True, False])
def test_full_is_that_of_ncps(wirings: ModuleType, self_connections: bool) -> None:
    theirs = wirings.FullyConnected(11, 3, erev_init_seed=7, self_connections=self_connections)
    theirs.build(5)
    ours = full(11, 5, 3, self_connections=self_connections, seed=7)
    np.testing.assert_array_equal(ours.recurrent, theirs.adjacency_matrix.T)
    np.testing.assert_array_equal(ours.sensory, theirs.sensory_adjacency_matrix.T)


def test_random_is_that_of_ncps(wirings: ModuleType) -> None:
    excited = {"ours": 0, "theirs": 0}
    for seed in range(30):
        theirs = wirings.Random(13, 3, 0.7, random_seed=seed)
        theirs.build(6)
        ours = random(13, 6, 3, density=1 - 0.7, seed=seed)
        np.testing.assert_array_equal(ours.recurrent, theirs.adjacency_matrix.T)
        assert ours.sensory_synapses == np.count_nonzero(theirs.sensory_adjacency_matrix)
        excited["ours"] += int((ours.sensory > 0).sum())
        excited["theirs"] += int((theirs.sensory_adjacency_matrix > 0).sum())
    drawn = 30 * 23  # binomial with p = 2/3: four standard deviations are 0.072
    assert abs(excited["ours"] / drawn - 2 / 3) < 0.072
    assert abs(excited["theirs"] / drawn - 2 / 3) < 0.072


def test_an_ncp_is_layered_and_leaves_no_unit_alone() -> None:
    for seed in range(20):
        wiring = auto_ncp(30, 3, 5, density=0.2, seed=seed)
        role = np.array(wiring.roles)
        motor, command, inter = (role == r for r in ("motor", "command", "inter"))
        allowed = np.outer(motor | command, command) & ~np.outer(motor, motor) | np.outer(command, inter)
        assert not (wiring.recurrent[~allowed] != 0).any()
        assert not wiring.sensory[~inter].any()
        assert wiring.sensory[inter].any(axis=1).all()
        assert wiring.recurrent[np.ix_(command, inter)].any(axis=1).all()
        assert wiring.recurrent[np.ix_(motor, command)].any(axis=1).all()
        assert wiring.recurrent[np.ix_(motor, command)].any(axis=0).all()


def test_polarity_of_an_ncp_is_even() -> None:
    signs = np.concatenate([w[w != 0] for w in (auto_ncp(64, 16, 8, seed=s).recurrent for s in range(10))])
    assert abs(signs.mean()) < 4 / np.sqrt(len(signs))


def test_small_world_without_rewiring_is_the_ring() -> None:
    wiring = small_world(20, 2, neighbours=6, rewiring=0.0)
    ring = nx.to_numpy_array(nx.watts_strogatz_graph(20, 6, 0.0))
    np.testing.assert_array_equal(np.abs(wiring.recurrent), ring)
    assert wiring.sensory.all()


def test_small_world_is_clustered_and_near() -> None:
    """Watts and Strogatz, figure 2: at p = 0.1 the clustering stays and the paths are short."""

    def measure(wiring: Wiring) -> tuple[float, float]:
        graph = nx.from_numpy_array(np.abs(wiring.recurrent) + np.abs(wiring.recurrent.T) > 0)
        return nx.average_clustering(graph), nx.average_shortest_path_length(graph)

    ring = measure(small_world(200, 1, neighbours=8, rewiring=0.0))
    small = measure(small_world(200, 1, neighbours=8, rewiring=0.05))
    none = measure(small_world(200, 1, neighbours=8, rewiring=1.0))
    assert ring[0] == pytest.approx(9 / 14)  # 3 (k-2) / (4 (k-1))
    assert small[0] > 0.7 * ring[0] > 3 * none[0]
    assert small[1] < 0.4 * ring[1]


def test_small_world_keeps_the_number_of_sources() -> None:
    for rewiring in (0.3, 1.0):
        wiring = small_world(15, 1, 4, neighbours=4, rewiring=rewiring, seed=2)
        assert (np.abs(wiring.recurrent).sum(axis=1) == 4).all()
        assert not wiring.recurrent.diagonal().any()
    assert small_world(5, 1, neighbours=4, rewiring=1.0).synapses == 20  # no free source is left to move to


def test_small_world_spaces_the_motor_units() -> None:
    wiring = small_world(20, 1, 4, neighbours=4, rewiring=0.0)
    assert not wiring.recurrent[:4, :4].any()


def test_seeds_decide() -> None:
    for make_one in (
        lambda s: full(8, 2, seed=s),
        lambda s: random(8, 2, density=0.5, seed=s),
        lambda s: small_world(8, 2, seed=s),
        lambda s: auto_ncp(12, 2, 2, seed=s),
    ):
        assert make_one(1) == make_one(1)
        assert make_one(1) != make_one(2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: random(4, 2, density=0.0), "`density` must be a number above 0 and at most 1; got 0.0"),
        (lambda: random(4, 2, density=1.2), "`density` must be a number above 0 and at most 1; got 1.2"),
        (
            lambda: random(4, 2, density=0.01),
            "`density` must leave at least one of 16 synapses; got 0.01. Use at least",
        ),
        (lambda: full(0, 2), "`units` must be a whole number at least 1; got 0"),
        (lambda: full(3, 2, 4), "`outputs` must be a whole number at least 1 and at most 3; got 4"),
        (lambda: full(3, 2, seed=-1), "`seed` must be a whole number at least 0"),
        (lambda: small_world(8, 1, neighbours=3), r"`neighbours` must be even .* got 3 \(odd\)"),
        (lambda: small_world(4, 1, neighbours=4), r"`neighbours` must be even and below .* \(3 others are there\)"),
        (lambda: small_world(8, 1, rewiring=2.0), "`rewiring` must be a number at least 0 and at most 1"),
        (lambda: auto_ncp(8, 2, 6), "`outputs` must leave at least 3 of 8 units .* got 6. Use at least 9 units"),
        (lambda: auto_ncp(8, 2, 2, density=0.0), "`density` must be a number above 0"),
        (
            lambda: ncp(3, 2, 1, 1, sensory_fanout=4, inter_fanout=1, recurrent_command=0, motor_fanin=1),
            "`sensory_fanout` must be at most `inter`, 3; got 4 .* Lower it, or raise `inter`",
        ),
        (
            lambda: ncp(3, 2, 1, 1, sensory_fanout=1, inter_fanout=1, recurrent_command=0, motor_fanin=3),
            "`motor_fanin` must be at most `command`, 2; got 3",
        ),
        (
            lambda: ncp(3, 2, 1, 1, sensory_fanout=1, inter_fanout=1, recurrent_command=-1, motor_fanin=1),
            "`recurrent_command` must be a whole number at least 0",
        ),
    ],
)
def test_options_that_cannot_be(call, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        call()


# ---- words and files ----


def test_make_reads_words() -> None:
    assert make("full", 6, 2, 3, seed=1) == full(6, 2, 3, seed=1)
    assert make("random:0.5", 6, 2, 3, seed=1) == random(6, 2, 3, density=0.5, seed=1)
    assert make("small_world:2", 6, 2, 3, seed=1) == small_world(6, 2, 3, neighbours=2, seed=1)
    assert make("auto_ncp", 8, 2, 3, seed=1) == auto_ncp(8, 2, 3, seed=1)
    assert make("auto_ncp:0.9", 20, 2, 3, seed=1) == auto_ncp(20, 2, 3, density=0.9, seed=1)


def test_make_reads_a_file(tmp_path) -> None:
    path = tmp_path / "my.json"
    path.write_text(json.dumps(example().to_json()))
    assert make(str(path), 16, 5, 3) == example()
    with pytest.raises(OptionError, match=r"`wiring` must have 17 units; got 16 .*Ask for 16 units"):
        make(str(path), 17, 5, 3)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("radnom", "Did you mean 'random'"),
        ("full:3", "`wiring` must be 'full' without a number; got 'full:3'"),
        ("random:much", "`wiring` must have a number for `density` after the colon; got 'random:much'"),
        ("small_world:2.5", "`wiring` must have a whole number for `neighbours`"),
    ],
)
def test_make_refuses(spec: str, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        make(spec, 8, 2, 1)


def test_a_file_that_is_no_wiring(tmp_path) -> None:
    with pytest.raises(FormatError, match="must be a wiring; it has no gone"):
        make(str(tmp_path / "gone.json"), 8, 2, 1)
    path = tmp_path / "half.json"
    path.write_text(json.dumps(example().to_json())[:50])
    with pytest.raises(FormatError, match="must be a wiring; it cannot be read"):
        make(str(path), 16, 5, 3)


@given(st.integers(1, 6), st.integers(1, 4), st.data())
@settings(max_examples=40, deadline=None)
def test_json_round_trip(units: int, features: int, data: st.DataObject) -> None:
    sign = st.sampled_from([-1, 0, 1])
    row = st.lists(sign, min_size=units + features, max_size=units + features)
    matrix = np.array(data.draw(st.lists(row, min_size=units, max_size=units)))
    outputs = data.draw(st.integers(1, units))
    wiring = Wiring(matrix[:, :units], matrix[:, units:], outputs)
    text = json.dumps(wiring.to_json())
    again = Wiring.from_json(json.loads(text))
    assert again == wiring
    assert json.dumps(again.to_json()) == text


def test_json_is_compact() -> None:
    assert len(json.dumps(auto_ncp(64, 16, 8).to_json())) < 5000


def _break(**change: object) -> dict:
    return example().to_json() | change


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"a": 1}, "`wiring` must be a JSON object with a `recurrent` part"),
        (_break(schema=99), "schema 1 or older; got 99. Install a newer liquidtorch"),
        (_break(units=17), "agree with itself"),
        (_break(outputs=4), "agree with itself.*motor units first"),
        (_break(sensory={"excitatory": [[9]] * 16, "inhibitory": [[]] * 16}), "a source outside 0 to 4"),
        (_break(sensory={"excitatory": [[1]] * 16, "inhibitory": [[1]] * 16}), "a source of both signs"),
        (_break(sensory={"excitatory": [[1]] * 16}), "KeyError: 'inhibitory'"),
    ],
)
def test_json_that_contradicts_itself(found: dict, text: str) -> None:
    with pytest.raises(FormatError, match=text):
        Wiring.from_json(found)


# ---- graphs ----


@pytest.mark.parametrize("wiring", [example(), random(9, 3, 2, density=0.3), full(4, 1)], ids=lambda w: w.name)
def test_graph_round_trip(wiring: Wiring) -> None:
    graph = wiring.to_graph()
    assert graph.number_of_edges() == wiring.synapses + wiring.sensory_synapses
    assert Wiring.from_graph(graph) == wiring
    assert Wiring.from_graph(graph).name == wiring.name


def test_graph_direction_is_from_to() -> None:
    graph = Wiring([[0, -1], [0, 0]], [[0], [1]], outputs=1).to_graph()
    assert list(graph.edges(data="sign")) == [("x0", "h1", 1), ("h1", "h0", -1)]


def test_plain_graphs() -> None:
    karate = nx.karate_club_graph()
    wiring = Wiring.from_graph(karate, features=3, outputs=2)
    np.testing.assert_array_equal(wiring.recurrent, nx.to_numpy_array(karate, weight=None))
    assert (wiring.sensory == 1).all()
    weighted = nx.DiGraph([("a", "b", {"weight": -2.5}), ("b", "b", {})])
    assert Wiring.from_graph(weighted, features=1, outputs=1).recurrent.tolist() == [[0, 0], [-1, 1]]


def test_motor_nodes_come_to_the_front() -> None:
    graph = nx.Graph()
    graph.add_node("hidden")
    graph.add_node("eye", role="sensory")
    graph.add_node("arm", role="motor")
    graph.add_edge("hidden", "eye", sign=-1)
    graph.add_edge("hidden", "arm")
    wiring = Wiring.from_graph(graph)
    assert wiring.roles == ("motor", "inter")
    assert wiring.recurrent.tolist() == [[0, 1], [1, 0]]
    assert wiring.sensory.tolist() == [[0], [-1]]


@pytest.mark.parametrize(
    ("graph", "options", "error", "text"),
    [
        (nx.path_graph(3), {"features": 1}, OptionError, "`outputs` must be given for a graph without motor nodes"),
        (nx.path_graph(3), {"outputs": 1}, OptionError, "`features` must be given .* without sensory nodes"),
        (nx.path_graph(3), {"features": 1, "outputs": 4}, OptionError, "`outputs` must be .* at most 3; got 4"),
        (example().to_graph(), {"outputs": 2}, OptionError, "the graph's own 3 motor nodes; got 2. Leave it out"),
        (nx.MultiGraph([(0, 1)]), {}, DataError, "at most one edge for a pair of nodes"),
    ],
)
def test_graphs_that_cannot_be(graph, options: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Wiring.from_graph(graph, **options)


def test_a_graph_with_an_edge_into_a_sensor() -> None:
    graph = example().to_graph()
    graph.add_edge("h0", "x1")
    with pytest.raises(DataError, match="no edge into a sensory node; got 'h0' -> 'x1'"):
        Wiring.from_graph(graph)
    graph = example().to_graph()
    graph.nodes["h0"]["role"] = "mtor"
    with pytest.raises(OptionError, match="Did you mean 'motor'"):
        Wiring.from_graph(graph)


# ---- pictures ----


def _strokes(text: str) -> dict[tuple[str, str], int]:
    """Count the curves of each colour and width in the synapse group."""
    root = ET.fromstring(text)
    group = root.find(f"{SVG}g[@fill='none']")
    assert group is not None
    return {(path.get("stroke", ""), path.get("stroke-width", "")): path.get("d", "").count("M") for path in group}


def test_the_picture_shows_every_synapse_and_unit() -> None:
    wiring = example()
    text = wiring.draw()
    root = ET.fromstring(text)
    signs = np.concatenate([wiring.recurrent.ravel(), wiring.sensory.ravel()])
    counts = list(_strokes(text).values())
    assert counts == [(signs > 0).sum(), (signs < 0).sum()]
    assert len(root.findall(f".//{SVG}circle")) == 16 + 5
    heads = [node.text for node in root.findall(f".//{SVG}text")]
    assert heads[:4] == ["5 sensory", "8 inter", "5 command", "3 motor"]
    assert f"{(signs != 0).sum()} synapses" in heads
    assert root.find(f"{SVG}title") is not None
    assert wiring._repr_svg_() == text


def test_the_picture_stands_alone() -> None:
    text = full(64, 64, 8).draw()
    assert not re.search(r"href|url\(|@import|<script|<style|<image", text)
    assert text.count("http") == 1  # the SVG namespace
    assert " id=" not in text  # two pictures on one page do not meet
    assert "currentColor" in text


def test_weights_give_colour_and_width() -> None:
    wiring = Wiring([[0, 1, 1], [1, 0, 0], [0, 0, 0]], [[1], [0], [0]], outputs=1)
    recurrent = np.array([[np.nan, 1.0, -0.1], [-1.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    strokes = _strokes(wiring.draw((recurrent, np.full((3, 1), 0.5))))
    excites, inhibits = "#2f80d0", "#e0662a"
    assert strokes == {(inhibits, "0.5"): 1, (excites, "1.6"): 1, (excites, "3.4"): 1, (inhibits, "3.4"): 1}


def test_too_many_synapses_are_thinned_and_it_says_so() -> None:
    wiring = full(64, 64, 8)
    plain = wiring.draw()
    assert len(plain) < 60_000
    assert "1200 of 8192 synapses drawn<" in plain
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(64, 64)), rng.normal(size=(64, 64))
    drawn = wiring.draw(weights)
    assert len(drawn) < 60_000
    assert "1200 of 8192 synapses drawn, the strongest<" in drawn
    size = np.sort(np.abs(np.concatenate([w.ravel() for w in weights])))
    widest = sum(count for (_, width), count in _strokes(drawn).items() if width == "3.4")
    assert widest == (size >= 0.8 * size[-1]).sum()
    assert sum(_strokes(drawn).values()) == 1200


@pytest.mark.parametrize("wiring", [full(1, 1), random(3, 1, density=0.5), auto_ncp(500, 100, 40)], ids=repr)
def test_pictures_of_all_sizes(wiring: Wiring) -> None:
    text = wiring.draw()
    root = ET.fromstring(text)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx", "")) < width
        assert 0 < float(circle.get("cy", "")) < height
    assert len(text) < 120_000


def test_no_two_units_on_one_place() -> None:
    for wiring in (full(64, 64, 8), auto_ncp(200, 40, 20), small_world(30, 2, 3)):
        root = ET.fromstring(wiring.draw())
        places = [(c.get("cx"), c.get("cy")) for c in root.iter(f"{SVG}circle")]
        assert len(set(places)) == len(places)


def test_weights_that_do_not_fit() -> None:
    wiring = example()
    with pytest.raises(ShapeError, match=r"`weights\[1\]` must have the shape \(units=16, features=5\); got \(5, 16\)"):
        wiring.draw((np.zeros((16, 16)), np.zeros((5, 16))))
    bad = wiring.recurrent.astype(float)
    bad[bad != 0] = np.inf
    with pytest.raises(DataError, match=r"`weights\[0\]` must be finite where there is a recurrent synapse; got inf"):
        wiring.draw((bad, np.zeros((16, 5))))


def test_a_name_cannot_break_the_picture() -> None:
    root = ET.fromstring(Wiring([[1]], [[1]], 1, name="<b> & co").draw())
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "Wiring <b> & co: 1 features, 1 units, 2 synapses"
