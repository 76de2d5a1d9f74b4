"""AutoKeras' oracles, asked for one candidate after another: `main(…)` is a process that answers over a pipe.

An oracle is made anew for each candidate, from those before it and how they ended, and draws by a seed of its own: so a
search that was killed goes on from its records as if it had never stopped. Needs no Ray; the side of Ray is
`layersweep.tuning.search.autokeras_sampler`.
"""

import hashlib
import json
import math
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from trainables import config as domains
from trainables.config import Value
from trainables.nas.configuration import Config, of_network
from trainables.worker.training_server import Failure

if TYPE_CHECKING:
    import keras_tuner


ORACLES: Final = ("greedy", "bayesian", "hyperband", "random")

GREEDY: Final = "greedy"
HYPERBAND: Final = "hyperband"

INITIAL_POINTS: Final = 8
"""Candidates that the bayesian oracle draws at random; KerasTuner's default, three for each hyperparameter, is more
than most searches ever see."""

FACTOR: Final = 3
"""Hyperband goes on with one of so many."""

_TRIES: Final = 20
"""Candidates that may turn out, once they are built, to be ones that were drawn before."""

_MATRIX: Final = 1024
_PRODUCTS: Final = 10
_ENDLESS: Final = 10**9
_METRIC: Final = "metric"


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how.

    Attributes:
        name: what tells it from others of the same command.
        oracle: one of `ORACLES`.
        config: the space, as a Config's values by name.
        image_shape: height, width and channels of the images.
        classes: how many there are.
        seed: what the draws depend on.
        epochs: of the longest training.
        mode: whether the metric is better when larger (max) or smaller (min).
    """

    name: str
    oracle: str
    config: Mapping[str, Value]
    image_shape: tuple[int, int, int]
    classes: int
    seed: int
    epochs: int
    mode: str = "max"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A candidate that was drawn: all its values, and its metric; None while it runs, NaN if it failed."""

    values: Mapping[str, Value]
    metric: float | None = None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A candidate to train.

    Attributes:
        values: of all hyperparameters that it has; those of Hyperband itself begin with `tuner/`.
        parameters: how many its network has; None where it could not be built.
        flops: of one image's forward pass; None where it could not be built.
        problem: why it could not be built.
        flops_per_second: what a core of this machine can do at most; of the first one alone.
    """

    values: Mapping[str, Value]
    parameters: int | None = None
    flops: int | None = None
    problem: str | None = None
    flops_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Grown:
    """What building a candidate has told: its hyperparameters with their space, and itself."""

    hyperparameters: "keras_tuner.HyperParameters"
    proposal: Proposal


@dataclass(kw_only=True)
class Proposer:
    """Proposes the candidates of one search."""

    search: Search
    _built: dict[str, _Grown] = field(default_factory=dict)

    def first(self) -> Proposal:
        """What AutoKeras' defaults mean, which every search begins from."""
        return replace(self._grow({}).proposal, values={}, flops_per_second=peak())

    def propose(self, drawn: Sequence[Drawn]) -> Proposal | None:
        """The next candidate, behind these; None if the oracle has no other."""
        before = {_key(d.values) for d in drawn}
        for attempt in range(_TRIES):
            oracle = self._oracle(drawn, _number(self.search.seed, self.search.oracle, len(drawn), attempt))
            response = oracle.populate_space(str(len(drawn)))
            if response["status"] != "RUNNING":
                return None
            asked = oracle.get_space()
            asked.values = dict(response["values"])
            network = of_network(asked.values)
            proposal = self._grow(network).proposal
            notes = {name: value for name, value in asked.values.items() if name not in network}
            values = {**proposal.values, **plain(notes)}
            if _key(values) not in before:
                return replace(proposal, values=values)
        return None

    def _oracle(self, drawn: Sequence[Drawn], seed: int) -> Any:
        """The oracle as it stands behind these candidates."""
        import numpy as np
        from keras_tuner.engine.trial import Trial

        oracle = _make(self.search, self._config, seed)
        oracle.update_space(self._grow({}).hyperparameters)
        np.random.seed(seed)
        for number, candidate in enumerate(drawn):
            values = candidate.values
            hyperparameters = self._grow(of_network(values)).hyperparameters.copy()
            hyperparameters.values = dict(values)
            oracle.update_space(hyperparameters)
            trial = Trial(hyperparameters=hyperparameters, trial_id=str(number), status="RUNNING")
            oracle.trials[trial.trial_id] = trial
            oracle.start_order.append(trial.trial_id)
            oracle._record_values(trial)
            if self.search.oracle == HYPERBAND:
                _enter_bracket(oracle, trial.trial_id, values)
            _end(oracle, trial, candidate.metric)
        if self.search.oracle == GREEDY:
            oracle._tried_initial_hps = [k < len(drawn) for k in range(len(oracle.initial_hps))]
        oracle._seed_state = seed
        return oracle

    def _grow(self, values: Mapping[str, Value]) -> _Grown:
        """What these values lead to, built once."""
        key = _key(values)
        if key not in self._built:
            self._built[key] = grown = self._build(values)
            self._built.setdefault(_key(grown.proposal.values), grown)
        return self._built[key]

    def _build(self, values: Mapping[str, Value]) -> _Grown:
        import keras

        from trainables.layers import layer_costs
        from trainables.nas.blocks import built, of_values

        hyperparameters = of_values(values)
        keras.StatelessScope().__enter__()  # variables get no values: a large network is built in a fifth of the time
        try:
            model = built(self._config, hyperparameters, self.search.image_shape, self.search.classes, weighted=False)
            flops = sum(layer_costs.flops(layer) for layer in model.layers)
            told: dict[str, Any] = {"parameters": model.count_params(), "flops": flops}
        except (ValueError, NotImplementedError) as error:  # Keras': layers that these images do not fit
            told = {"problem": " ".join(str(error).split())}
        finally:
            keras.backend.clear_session()  # ends the scope as well, which would give all of them values at its exit
        return _Grown(hyperparameters=hyperparameters, proposal=Proposal(values=taken(hyperparameters), **told))

    @property
    def _config(self) -> Config:

        return domains.make(Config, self.search.config)


def peak() -> float:
    """Floating-point operations a second of a large product of matrices on one thread: no network does more."""
    import tensorflow as tf

    matrix = tf.fill((_MATRIX, _MATRIX), 0.5)
    seconds = timeit.repeat(lambda: tf.linalg.matmul(matrix, matrix).numpy(), number=1, repeat=_PRODUCTS)
    return 2 * _MATRIX**3 / min(seconds)


def _make(search: Search, config: Config, seed: int) -> Any:
    import keras_tuner
    from autokeras.tuners.greedy import GreedyOracle

    from trainables.nas.blocks import first_candidates

    objective = keras_tuner.Objective(_METRIC, search.mode)
    shared = {"objective": objective, "seed": seed, "max_consecutive_failed_trials": _ENDLESS}
    oracles: dict[str, Callable[[], Any]] = {
        GREEDY: lambda: GreedyOracle(initial_hps=first_candidates(config), max_trials=_ENDLESS, **shared),
        "bayesian": lambda: keras_tuner.oracles.BayesianOptimizationOracle(
            max_trials=_ENDLESS, num_initial_points=INITIAL_POINTS, **shared
        ),
        HYPERBAND: lambda: keras_tuner.oracles.HyperbandOracle(
            max_epochs=search.epochs, factor=FACTOR, hyperband_iterations=_ENDLESS, **shared
        ),
        "random": lambda: keras_tuner.oracles.RandomSearchOracle(max_trials=_ENDLESS, **shared),
    }
    oracle = oracles[search.oracle]()
    oracle.verbose = 0
    return oracle


def _end(oracle: Any, trial: Any, metric: float | None) -> None:
    """Notes how a trial ended, or that it runs; without the files that KerasTuner writes of each."""
    if metric is None:
        oracle.ongoing_trials[trial.trial_id] = trial
        return
    oracle.end_order.append(trial.trial_id)
    if not math.isfinite(metric):
        trial.status = "FAILED"
        return
    trial.metrics.register(_METRIC, direction=oracle.objective.direction)
    trial.metrics.update(_METRIC, metric, step=0)
    trial.status, trial.score, trial.best_step = "COMPLETED", metric, 0


def _enter_bracket(oracle: Any, trial_id: str, values: Mapping[str, Value]) -> None:
    """Puts a trial where Hyperband had it: its round says so, and which trial it goes on from."""
    past, number = values.get("tuner/trial_id"), int(values["tuner/round"])
    if past is not None:
        for bracket in oracle._brackets:
            rounds = bracket["rounds"]
            if number < len(rounds) and any(info["id"] == past for info in rounds[number - 1]):
                rounds[number].append({"past_id": past, "id": trial_id})
                return
        return  # it was drawn for more epochs than a training has now
    free = (b for b in oracle._brackets if len(b["rounds"][0]) < oracle._get_size(b["bracket_num"], round_num=0))
    bracket = next(free, None)
    if bracket is None:
        oracle._increment_bracket_num()
        oracle._start_new_bracket()
        bracket = oracle._brackets[-1]
    bracket["rounds"][0].append({"past_id": None, "id": trial_id})


def taken(hyperparameters: "keras_tuner.HyperParameters") -> dict[str, Value]:
    """The values that a network took when it was built: without those of a second block, say, where it has one.

    Networks that differ in others are the same one, which AutoKeras trains again.
    """
    names = {hp.name for hp in hyperparameters.space}
    return plain({name: value for name, value in hyperparameters.values.items() if name in names})


def plain(values: Mapping[str, Any]) -> dict[str, Value]:
    """Python's own numbers and texts in place of NumPy's."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}


def _key(values: Mapping[str, Value]) -> str:
    return json.dumps(plain(values), sort_keys=True)


def _number(*parts: object) -> int:
    """A seed for NumPy, the same in every process; never 0, which KerasTuner takes for none."""
    return 1 + int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") % (2**31 - 2)


def main(descriptor: int) -> None:
    """Answers over the pipe of this descriptor until it is closed.

    Each message is a pair: a search and None, to which `Proposer.first` is the answer, or a search and what was drawn.
    An error is the last answer: a `trainables.worker.training_server.Failure`.
    """
    from trainables.worker.warm_up import imports

    pipe = Connection(descriptor)
    try:
        imports()
        _answer(pipe)
    except BaseException as error:
        pipe.send(Failure.of(error))
        raise


def _answer(pipe: Connection) -> None:
    proposers: dict[str, Proposer] = {}
    while True:
        try:
            search, drawn = pipe.recv()
        except EOFError:
            return
        if search.name not in proposers:
            proposers[search.name] = Proposer(search=search)
        proposer = proposers[search.name]
        pipe.send(proposer.first() if drawn is None else proposer.propose(drawn))
