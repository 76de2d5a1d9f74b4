import keras
import pytest

from trainables.errors import ConfigError
from trainables.hyper_models.compiled import Compiled, compiled, optimizers_allowed, takes_logits


def model(loss="sparse_categorical_crossentropy", optimizer="adam"):
    network = keras.Sequential([keras.layers.Flatten()])
    network.compile(optimizer=optimizer, loss=loss)
    return network


def test_optimizer_rate_and_momentum_are_read():
    own = keras.optimizers.SGD(0.05, momentum=0.9)
    assert compiled(model(optimizer=own)) == Compiled(optimizer="sgd", rate=0.05, momentum=0.9)
    assert compiled(model(optimizer="AdamW")) == Compiled(optimizer="adamw", rate=0.001, momentum=0.0)


def test_a_model_that_is_not_compiled_says_nothing():
    assert compiled(keras.Sequential()) is None


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(),
        keras.losses.sparse_categorical_crossentropy,
    ],
)
def test_cross_entropy_is_taken_in_each_form(loss):
    assert compiled(model(loss)) is not None


def test_logits_are_known_by_the_loss():
    assert takes_logits(model(keras.losses.SparseCategoricalCrossentropy(from_logits=True)))
    assert not takes_logits(model(keras.losses.SparseCategoricalCrossentropy()))
    assert not takes_logits(model())


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mse", r"loss='mse', but classifiers .* cross-entropy; valid: sparse_categorical_crossentropy or"),
        ("binary_crossentropy", r"loss='binary_crossentropy', but"),
        (keras.losses.Huber(), r"loss='huber_loss', but"),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), r"label_smoothing or ignore_class of .*; valid"),
    ],
)
def test_another_loss_is_refused(loss, message):
    with pytest.raises(ConfigError, match=message):
        compiled(model(loss))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: keras.optimizers.Adam(weight_decay=0.01), r"weight_decay=0.01 of Adam, .*; valid: leave it out"),
        (lambda: keras.optimizers.SGD(nesterov=True), r"nesterov=True of SGD, .* \(nesterov=False\)"),
        (
            lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
            r"changes \(ExponentialDecay\), .*; valid: one number, or hp.Float\('learning_rate', ...\)",
        ),
    ],
)
def test_what_no_key_stands_for_is_refused(optimizer, message):
    with pytest.raises(ConfigError, match=message):
        compiled(model(optimizer=optimizer()))


def test_an_optimizer_can_be_made_where_variables_have_no_values():
    with keras.StatelessScope(), optimizers_allowed():
        own = model(optimizer=keras.optimizers.RMSprop(0.3, momentum=0.5))
        assert compiled(own) == Compiled(optimizer="rmsprop", rate=0.3, momentum=0.5)
    with keras.StatelessScope(), pytest.raises(ValueError, match="stateless scope"):
        keras.optimizers.RMSprop(0.3)
