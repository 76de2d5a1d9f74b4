"""The optimizers in a plain Keras loop, as a user would first write it: one process, NumPy arrays, all defaults."""

from benchmarks.programs import peer_task


def main(arguments: peer_task.Arguments) -> None:
    """Trains the models one after another."""
    import keras

    work, data, results = arguments.work, arguments.work.data, []
    steps: list[float] = []
    for optimizer, seed in work.trials:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        sets, model = data.split(seed), peer_task.build_model(optimizer, data)
        history = peer_task.fit(model, sets, work.epochs, [peer_task.first_step_callback(steps)])
        results.append(peer_task.evaluate(optimizer, seed, model, history, sets))
    peer_task.write_answer(arguments.out, results, first_step=steps[0])


if __name__ == "__main__":
    main(peer_task.read_arguments(__doc__))
