"""The optimizers by a loop over Keras, as a user writes it first: one process, NumPy arrays, every default."""

from benchmarks.programs import asked


def main(wanted: asked.Asked) -> None:
    """Trains them one after another."""
    import keras

    work, data, results = wanted.work, wanted.work.data, []
    steps: list[float] = []
    for optimizer, seed in work.trials:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        sets, model = data.split(seed), asked.model(optimizer, data)
        fitted = asked.fit(model, sets, work.epochs, [asked.first_step_noted(steps)])
        results.append(asked.result(optimizer, seed, model, fitted, sets))
    asked.answer(wanted.out, results, first_step=steps[0])


if __name__ == "__main__":
    main(asked.asked(__doc__))
