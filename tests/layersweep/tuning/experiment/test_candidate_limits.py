"""Which candidates are refused before they are trained, worked out by hand."""

from types import SimpleNamespace

import pytest

from layersweep.records.values import Layer, NetworkSummary
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment.candidate_limits import SearchLimits, refusal, still_refused

GIB = 1 << 30


def built(flops=2_000_000, shape="512x512x4", parameters=1 << 27):
    layer = Layer(
        index=0, name="layer", kind="Conv2D", activation=None, filters=None, kernel=None, stride=None, parameters=0,
        trainable=True, output_shape=shape,
    )  # fmt: skip
    return NetworkSummary(
        parameters=parameters, trainable_parameters=parameters, flops=flops, size_bytes=0, layers=(layer,),
        seconds_build=1.0,
    )  # fmt: skip


def refused(network, limits=SearchLimits(), *, share=6 * GIB, images=1000, batch_size=1024):  # noqa: B008 (frozen)
    arm, data = SimpleNamespace(batch_size=batch_size), SimpleNamespace(train_images=images)
    trial = SimpleNamespace(arm=arm, data=data, precision="float32")
    return refusal(network, limits, trial, share_bytes=share)


def test_a_step_that_needs_more_than_the_share_is_too_large():
    """2^20 numbers an image, 1024 images, 4 bytes: 4 GiB; 2^27 parameters four times: 2 GiB."""
    assert refused(built(), share=6 * GIB) is None
    error = refused(built(), share=6 * GIB - 1)
    assert error.type == "TooLarge"
    assert error.message == (
        "by estimate a step with batch_size=1024 takes 6.0 GiB: 4.0 for the layers' outputs, 2.0 for parameters, "
        "gradients and optimizer; a slot's share is 6.00 GiB: use a smaller batch_size or fewer --slots"
    )
    assert refused(built(), share=4 * GIB, batch_size=512) is None


def test_an_epoch_that_takes_longer_than_the_time_left_is_too_slow():
    """3 x 2 million operations x 1000 images at 100 million a second: a minute."""
    limits = SearchLimits(seconds_left=59.0, flops_per_second=1e8)
    assert limits.epoch_seconds(2_000_000, 1000) == 60
    assert refused(built(), SearchLimits(seconds_left=60.0, flops_per_second=1e8)) is None
    error = refused(built(), limits)
    assert error.type == "TooSlow"
    assert error.message == (
        "by estimate an epoch takes at least 1 min, and the search has 59 s left: use a larger --time-budget or fewer "
        "--images"
    )


@pytest.mark.parametrize(
    "limits", [SearchLimits(), SearchLimits(seconds_left=0.0), SearchLimits(flops_per_second=1e-9)]
)
def test_nothing_is_too_slow_without_a_time_or_before_a_rate_is_known(limits):
    assert refused(built(), limits) is None


@pytest.mark.parametrize(("share", "again"), [(5 * GIB, True), (6 * GIB, True), (6.02 * GIB, False), (9 * GIB, False)])
def test_what_was_too_large_is_so_until_a_slot_has_more(share, again):
    error = refused(built(), share=6 * GIB - 1)
    assert still_refused(error, SearchLimits(), flops=1, train_images=1, share_bytes=int(share)) is again


@pytest.mark.parametrize(
    ("limits", "again"),
    [
        (SearchLimits(seconds_left=59.0, flops_per_second=1e8), True),
        (SearchLimits(seconds_left=600.0, flops_per_second=1e8), False),
        (SearchLimits(seconds_left=59.0, flops_per_second=2e8), False),  # a faster training was seen meanwhile
        (SearchLimits(flops_per_second=1e8), False),
    ],
)
def test_what_was_too_slow_is_judged_anew(limits, again):
    error = Error(type="TooSlow", message="")
    assert still_refused(error, limits, flops=2_000_000, train_images=1000, share_bytes=1) is again


def test_other_errors_are_no_refusal():
    error = Error(type="OutOfMemory", message="a slot's share is 1.00 GiB")
    assert not still_refused(error, SearchLimits(), flops=1, train_images=1, share_bytes=1)
