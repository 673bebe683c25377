"""The small random encoder for commands that would load the packaged one."""

import pytest


@pytest.fixture
def small_encoder(monkeypatch: pytest.MonkeyPatch, project) -> None:
    """Put the small random BERT in the place of the packaged encoder, whoever asks for it."""
    from training import encoder_files
    from training.baselines import frozen_text
    from training.embedme import bert

    for module in (encoder_files, bert, frozen_text):
        monkeypatch.setattr(module, "find_encoder", lambda _: project.encoder)
