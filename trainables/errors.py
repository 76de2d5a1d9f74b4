"""The errors that a caller of trainables may catch."""


class DataError(ValueError):
    """A data set that is missing, damaged or asked for in a size that it does not have."""


class ConfigError(ValueError):
    """A configuration with an unknown key or a value outside its domain."""


class WeightsError(ValueError):
    """Weights that were not found, or do not fit the model that they are for."""
