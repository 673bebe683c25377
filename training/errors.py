"""What can go wrong in training, evaluation and model folders.

TrainingError
├── ConfigError       a setting is unknown, missing or out of range
├── DatasetError      the data cannot be trained on
├── CannotJudgeError  a model was asked about users or items it has no ground to judge
├── CheckpointError   a model folder is damaged, forged or of another version
├── DivergedError     a loss or a weight became NaN or infinite
└── EncoderError      the text encoder is not to be had
"""


class TrainingError(Exception):
    """Root of all errors of this package; its text is one line for the user."""


class ConfigError(TrainingError):
    """A configuration holds an unknown key, lacks one, or a value is out of range."""


class DatasetError(TrainingError):
    """Interactions, catalogues or splits do not make a trainable data set."""


class CannotJudgeError(TrainingError):
    """A model needs what the users at hand do not have."""


class CheckpointError(TrainingError):
    """A model folder is incomplete, altered, or written by an incompatible version."""


class DivergedError(TrainingError):
    """What is learned is no number any more; says where, and what to change."""


class EncoderError(TrainingError):
    """A text encoder cannot be loaded."""


REFUSALS = (CannotJudgeError, DatasetError, DivergedError)
"""What a model may say in place of learning: in a comparison the others go on."""
