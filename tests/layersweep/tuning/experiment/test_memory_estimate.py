"""What is said of a training that got too little memory."""

from dataclasses import replace
from typing import Any

from layersweep.records.values import Layer, NetworkSummary
from layersweep.tuning.experiment import memory_estimate


def layer(index: int, output_shape: str, *, parameters: int = 0, trainable: bool = True) -> Layer:
    return Layer(
        index=index, name=f"layer_{index}", kind="Conv2D", activation=None, filters=None, kernel=None, stride=None,
        parameters=parameters, trainable=trainable, output_shape=output_shape,
    )  # fmt: skip


BUILT = NetworkSummary(
    parameters=1 << 28, trainable_parameters=1 << 27, flops=0, size_bytes=0,
    layers=(layer(0, "512x512x3"), layer(1, "256x256x4"), layer(2, "10")), seconds_build=1.0,
)  # fmt: skip


def test_outputs_grow_with_the_batch_and_parameters_do_not():
    said = memory_estimate.text(BUILT, batch_size=1024, precision="float32")
    assert said == (
        "by estimate a step with batch_size=1024 takes 6.5 GiB: 4.0 for the layers' outputs, 2.5 for parameters, "
        "gradients and optimizer"
    )
    assert "2.0 for the layers' outputs" in memory_estimate.text(BUILT, batch_size=512, precision="float32")


def test_the_bytes_are_those_that_are_said():
    """512 x 512 x 3 + 256 x 256 x 4 + 10 numbers an image; 2^28 parameters once, 2^27 three times."""
    needed = memory_estimate.step_bytes(BUILT, batch_size=2, precision="float32")
    assert needed == (786_432 + 262_144 + 10) * 2 * 4 + ((1 << 28) + 3 * (1 << 27)) * 4


def test_a_frozen_part_keeps_no_outputs_for_the_backward_pass():
    frozen = [layer(k, "256x256x4", parameters=9, trainable=False) for k in range(100)]
    head = layer(100, "10", parameters=9)
    built = NetworkSummary(
        parameters=0, trainable_parameters=0, flops=0, size_bytes=0, layers=(*frozen, head), seconds_build=1.0
    )  # fmt: skip
    assert memory_estimate.step_bytes(built, batch_size=2, precision="float32") == 2 * (256 * 256 * 4) * 2 * 4
    wide = replace(built, layers=(*frozen, replace(head, output_shape="1000000")))
    assert memory_estimate.step_bytes(wide, batch_size=2, precision="float32") == 1_000_000 * 2 * 4


def test_half_precision_halves_the_outputs():
    assert "2.0 for the layers' outputs" in memory_estimate.text(BUILT, batch_size=1024, precision="mixed_bfloat16")


def test_a_model_that_was_never_built_has_its_batch_size_named():
    assert memory_estimate.text(None, batch_size=64, precision="float32") == (
        "its network was being built, for batch_size=64"
    )


def named(name: str, output_shape: str, **more: Any) -> Layer:
    return replace(layer(0, output_shape, **more), name=name)


def test_pictures_count_as_they_are_stored_augmented_and_resized():
    """512 x 512 x 3 bytes, twice as many numbers of 4 bytes, and 64 x 64 x 3 numbers of the resized copy."""
    pictures = [named("image", "512x512x3"), named("numbers", "512x512x3"), named("random_flip", "512x512x3")]
    built = replace(BUILT, layers=(*pictures, named("resizing", "64x64x3"), named("dense", "10", parameters=9)))
    of_pictures = 512 * 512 * 3 * (1 + 4 + 4) + 64 * 64 * 3 * 4
    parameters = ((1 << 28) + 3 * (1 << 27)) * 4
    assert memory_estimate.step_bytes(built, batch_size=7, precision="float32") == 7 * (of_pictures + 40) + parameters
    said = memory_estimate.text(built, batch_size=512, precision="mixed_bfloat16")
    assert "3.4 for its pictures of 512x512x3, 0.0 for the layers' outputs" in said


def test_a_smaller_image_size_is_advised_for_large_pictures_alone():
    large, small = (replace(BUILT, layers=(named("image", size),)) for size in ("65x10x3", "64x64x3"))
    assert memory_estimate.advice(large) == "use a smaller image_size, a smaller batch_size or fewer --slots"
    assert memory_estimate.advice(small) == "use a smaller batch_size or fewer --slots"
