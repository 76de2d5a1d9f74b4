"""AutoKeras' oracles propose one candidate after another; `main(…)` is a process that answers over a pipe.

Each proposal comes from a new oracle, which gets all earlier candidates with their results and has its own seed. So a
search that was killed continues from its records as if it had never stopped. This module needs no Ray; the other end of
the pipe is `layersweep.tuning.search.autokeras_sampler`.
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
"""The number of random candidates with which the bayesian oracle starts. KerasTuner's default is three for each
hyperparameter, more than most searches ever train."""

FACTOR: Final = 3
"""Hyperband continues one of this number of candidates."""

_TRIES: Final = 20
"""The most draws for one proposal: a draw may turn out, once it is built, to be an earlier candidate."""

_MATRIX: Final = 1024
_PRODUCTS: Final = 10
_ENDLESS: Final = 10**9
_METRIC: Final = "metric"


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: its space, its oracle and its seed.

    Attributes:
        name: unique among the searches of one command.
        oracle: one of `ORACLES`.
        config: the space, as a Config's values by name.
        image_shape: height, width and channels of the images.
        classes: the number of classes.
        seed: the seed of the draws.
        epochs: the epochs of the longest training.
        mode: `max` if a larger metric is better, `min` if a smaller one is.
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
class Candidate:
    """An earlier candidate: all its values, and its metric; the metric is None while it runs, NaN if it failed."""

    values: Mapping[str, Value]
    metric: float | None = None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A candidate to train.

    Attributes:
        values: the values of all its hyperparameters; names of Hyperband's own values begin with `tuner/`.
        parameters: the number of parameters of its network; None if it could not be built.
        flops: the operations of one image's forward pass; None if it could not be built.
        problem: why it could not be built; None if it was built.
        flops_per_second: the most that a core of this machine can do; only in a search's first proposal.
    """

    values: Mapping[str, Value]
    parameters: int | None = None
    flops: int | None = None
    problem: str | None = None
    flops_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class _BuiltCandidate:
    """A candidate that was built: its hyperparameters with their space, and its proposal."""

    hyperparameters: "keras_tuner.HyperParameters"
    proposal: Proposal


@dataclass(kw_only=True)
class Proposer:
    """Proposes the candidates of one search."""

    search: Search
    _candidates: dict[str, _BuiltCandidate] = field(default_factory=dict)

    def first(self) -> Proposal:
        """The network of AutoKeras' defaults, which every search starts from."""
        return replace(self._candidate({}).proposal, values={}, flops_per_second=peak())

    def propose(self, candidates: Sequence[Candidate]) -> Proposal | None:
        """The next candidate after these; None if the oracle has no new one."""
        earlier_keys = {_key(d.values) for d in candidates}
        for attempt in range(_TRIES):
            oracle = self._oracle(
                candidates, _numpy_seed(self.search.seed, self.search.oracle, len(candidates), attempt)
            )
            response = oracle.populate_space(str(len(candidates)))
            if response["status"] != "RUNNING":
                return None
            hyperparameters = oracle.get_space()
            hyperparameters.values = dict(response["values"])
            network = of_network(hyperparameters.values)
            proposal = self._candidate(network).proposal
            notes = {name: value for name, value in hyperparameters.values.items() if name not in network}
            values = {**proposal.values, **python_values(notes)}
            if _key(values) not in earlier_keys:
                return replace(proposal, values=values)
        return None

    def _oracle(self, candidates: Sequence[Candidate], seed: int) -> Any:
        """A new oracle in its state after these candidates."""
        import numpy as np
        from keras_tuner.engine.trial import Trial

        oracle = _make(self.search, self._config, seed)
        oracle.update_space(self._candidate({}).hyperparameters)
        np.random.seed(seed)
        for number, candidate in enumerate(candidates):
            values = candidate.values
            hyperparameters = self._candidate(of_network(values)).hyperparameters.copy()
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
            oracle._tried_initial_hps = [k < len(candidates) for k in range(len(oracle.initial_hps))]
        oracle._seed_state = seed
        return oracle

    def _candidate(self, values: Mapping[str, Value]) -> _BuiltCandidate:
        """The candidate with these values; it is built once."""
        key = _key(values)
        if key not in self._candidates:
            self._candidates[key] = candidate = self._build(values)
            self._candidates.setdefault(_key(candidate.proposal.values), candidate)
        return self._candidates[key]

    def _build(self, values: Mapping[str, Value]) -> _BuiltCandidate:
        import keras

        from trainables.layers import layer_costs
        from trainables.nas.blocks import build_model, with_values

        hyperparameters = with_values(values)
        keras.StatelessScope().__enter__()  # variables without values: a large network is built in a fifth of the time
        try:
            model = build_model(
                self._config, hyperparameters, self.search.image_shape, self.search.classes, load_weights=False
            )
            flops = sum(layer_costs.flops(layer) for layer in model.layers)
            facts: dict[str, Any] = {"parameters": model.count_params(), "flops": flops}
        except (ValueError, NotImplementedError) as error:  # Keras raises ValueError if the images do not fit
            facts = {"problem": " ".join(str(error).split())}
        finally:
            keras.backend.clear_session()  # also ends the scope; its own exit would give all variables values
        return _BuiltCandidate(
            hyperparameters=hyperparameters, proposal=Proposal(values=used_values(hyperparameters), **facts)
        )

    @property
    def _config(self) -> Config:

        return domains.make(Config, self.search.config)


def peak() -> float:
    """Floating-point operations per second of a large matrix product on one thread; no network is faster."""
    import tensorflow as tf

    matrix = tf.fill((_MATRIX, _MATRIX), 0.5)
    seconds = timeit.repeat(lambda: tf.linalg.matmul(matrix, matrix).numpy(), number=1, repeat=_PRODUCTS)
    return 2 * _MATRIX**3 / min(seconds)


def _make(search: Search, config: Config, seed: int) -> Any:
    import keras_tuner
    from autokeras.tuners.greedy import GreedyOracle

    from trainables.nas.blocks import first_candidates

    objective = keras_tuner.Objective(_METRIC, search.mode)
    options = {"objective": objective, "seed": seed, "max_consecutive_failed_trials": _ENDLESS}
    oracles: dict[str, Callable[[], Any]] = {
        GREEDY: lambda: GreedyOracle(initial_hps=first_candidates(config), max_trials=_ENDLESS, **options),
        "bayesian": lambda: keras_tuner.oracles.BayesianOptimizationOracle(
            max_trials=_ENDLESS, num_initial_points=INITIAL_POINTS, **options
        ),
        HYPERBAND: lambda: keras_tuner.oracles.HyperbandOracle(
            max_epochs=search.epochs, factor=FACTOR, hyperband_iterations=_ENDLESS, **options
        ),
        "random": lambda: keras_tuner.oracles.RandomSearchOracle(max_trials=_ENDLESS, **options),
    }
    oracle = oracles[search.oracle]()
    oracle.verbose = 0
    return oracle


def _end(oracle: Any, trial: Any, metric: float | None) -> None:
    """Tells the oracle how a trial ended, or that it runs, without the files that KerasTuner writes for each trial."""
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
    """Puts a trial into Hyperband's bracket again, by its round and the trial that it continues."""
    parent_id, number = values.get("tuner/trial_id"), int(values["tuner/round"])
    if parent_id is not None:
        for bracket in oracle._brackets:
            rounds = bracket["rounds"]
            if number < len(rounds) and any(info["id"] == parent_id for info in rounds[number - 1]):
                rounds[number].append({"past_id": parent_id, "id": trial_id})
                return
        return  # its search had longer trainings than this one
    free = (b for b in oracle._brackets if len(b["rounds"][0]) < oracle._get_size(b["bracket_num"], round_num=0))
    bracket = next(free, None)
    if bracket is None:
        oracle._increment_bracket_num()
        oracle._start_new_bracket()
        bracket = oracle._brackets[-1]
    bracket["rounds"][0].append({"past_id": None, "id": trial_id})


def used_values(hyperparameters: "keras_tuner.HyperParameters") -> dict[str, Value]:
    """The values that a network uses; for example, one with a single block uses no value of a second block.

    Candidates that differ only in unused values are the same network; AutoKeras itself would train it again.
    """
    names = {hp.name for hp in hyperparameters.space}
    return python_values({name: value for name, value in hyperparameters.values.items() if name in names})


def python_values(values: Mapping[str, Any]) -> dict[str, Value]:
    """The same values with Python's types in place of NumPy's."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}


def _key(values: Mapping[str, Value]) -> str:
    return json.dumps(python_values(values), sort_keys=True)


def _numpy_seed(*parts: object) -> int:
    """A seed for NumPy, the same in every process; never 0, because KerasTuner treats 0 as no seed."""
    return 1 + int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") % (2**31 - 2)


def main(descriptor: int) -> None:
    """Answers over the pipe with this descriptor until it is closed.

    Each message is a pair: a search and its earlier candidates, or None for `Proposer.first`. After an error the last
    answer is a `trainables.worker.training_server.Failure`.
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
            search, candidates = pipe.recv()
        except EOFError:
            return
        if search.name not in proposers:
            proposers[search.name] = Proposer(search=search)
        proposer = proposers[search.name]
        pipe.send(proposer.first() if candidates is None else proposer.propose(candidates))
