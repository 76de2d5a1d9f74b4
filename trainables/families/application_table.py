"""The networks of keras.applications that have no row in `applications`, as Keras itself describes them.

Written by `python -m benchmarks.programs.keras_applications table`; the tests compare it with the installed Keras.
"""

from typing import Final, NamedTuple

OWN: Final = "own"


class Row(NamedTuple):
    """A network of keras.applications.

    Attributes:
        name: the family's name.
        function: the name of the function that makes its base.
        minimum_size: the smallest height and width of its images, pixels.
        preprocessing: the function of `applications` that does what Keras' `preprocess_input` does; `OWN` if the base
            itself begins with it.
        has_alpha: whether its width can be scaled.
    """

    name: str
    function: str
    minimum_size: int
    preprocessing: str
    has_alpha: bool = False


ROWS: Final = (
    Row("convnext_base", "ConvNeXtBase", 32, OWN),
    Row("convnext_large", "ConvNeXtLarge", 32, OWN),
    Row("convnext_small", "ConvNeXtSmall", 32, OWN),
    Row("convnext_tiny", "ConvNeXtTiny", 32, OWN),
    Row("convnext_xlarge", "ConvNeXtXLarge", 32, OWN),
    Row("densenet121", "DenseNet121", 32, "by_deviation"),
    Row("densenet169", "DenseNet169", 32, "by_deviation"),
    Row("densenet201", "DenseNet201", 32, "by_deviation"),
    Row("efficientnet_b0", "EfficientNetB0", 32, OWN),
    Row("efficientnet_b1", "EfficientNetB1", 32, OWN),
    Row("efficientnet_b2", "EfficientNetB2", 32, OWN),
    Row("efficientnet_b3", "EfficientNetB3", 32, OWN),
    Row("efficientnet_b4", "EfficientNetB4", 32, OWN),
    Row("efficientnet_b5", "EfficientNetB5", 32, OWN),
    Row("efficientnet_b6", "EfficientNetB6", 32, OWN),
    Row("efficientnet_b7", "EfficientNetB7", 32, OWN),
    Row("efficientnet_v2_b0", "EfficientNetV2B0", 32, OWN),
    Row("efficientnet_v2_b1", "EfficientNetV2B1", 32, OWN),
    Row("efficientnet_v2_b2", "EfficientNetV2B2", 32, OWN),
    Row("efficientnet_v2_b3", "EfficientNetV2B3", 32, OWN),
    Row("efficientnet_v2_l", "EfficientNetV2L", 32, OWN),
    Row("efficientnet_v2_m", "EfficientNetV2M", 32, OWN),
    Row("efficientnet_v2_s", "EfficientNetV2S", 32, OWN),
    Row("inception_resnet_v2", "InceptionResNetV2", 75, "minus_one_to_one"),
    Row("mobilenet_v3_large", "MobileNetV3Large", 32, OWN, has_alpha=True),
    Row("nasnet_large", "NASNetLarge", 32, "minus_one_to_one"),
    Row("nasnet_mobile", "NASNetMobile", 32, "minus_one_to_one"),
    Row("resnet101", "ResNet101", 32, "bgr_around_zero"),
    Row("resnet101_v2", "ResNet101V2", 32, "minus_one_to_one"),
    Row("resnet152", "ResNet152", 32, "bgr_around_zero"),
    Row("resnet152_v2", "ResNet152V2", 32, "minus_one_to_one"),
    Row("resnet50_v2", "ResNet50V2", 32, "minus_one_to_one"),
    Row("vgg19", "VGG19", 32, "bgr_around_zero"),
)
