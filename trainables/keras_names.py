"""The names of Keras' activations and initializers, without importing Keras.

Tests compare them with the installed Keras.
"""

from typing import Final

ACTIVATIONS: Final = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
)
"""Keras' activations, without aliases, that act on each number by itself (unlike softmax, sparsemax and glu) and need
no further argument (unlike threshold)."""

INITIALIZERS: Final = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
)
"""Keras' random initializers for the kernel of a convolution or a dense layer."""

PRECISIONS: Final = ("float32", "mixed_bfloat16", "mixed_float16")
"""Keras' dtype policies for training."""
