"""What can go wrong while text is linked.

LinkingError
├── PipelineError   the spaCy pipeline is not there or does not fit
├── EncoderError    the sentence encoder is not there
└── GoldError       a gold file for evaluation cannot be read
"""


class LinkingError(Exception):
    """Root of all errors of this package; its text is one line for the user."""


class PipelineError(LinkingError):
    """A spaCy pipeline cannot be loaded or has no entity recogniser."""


class EncoderError(LinkingError):
    """A sentence encoder cannot be found."""


class GoldError(LinkingError):
    """A gold file is not what the evaluation reads."""
