"""Bundles whose language model ONNX Runtime runs: the same answers."""

import pytest

from mekb import api
from mekb.config import load_settings
from mekb.interests import liked_items
from mekb.store import Store
from training.embedme import onnx_encoder
from training.embedme.onnx_encoder import missing_packages
from training.errors import EncoderError

SETTINGS = ["bundle.encoder_runtime=onnx"]


@pytest.mark.skipif(bool(missing_packages(to_write=True)), reason="mekb[onnx] is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_answers_are_equal(project, tmp_path):
    folder = tmp_path / "bundle"
    api.make_bundle(
        project.store, project.model, folder, settings=load_settings(assignments=SETTINGS)
    )
    bundle, expected = api.open_bundle(folder), api.open_bundle(project.bundle)
    assert not list(bundle.model.module.encoder.bert.parameters())
    with Store.open(project.store) as store:
        users = [
            name
            for (name,) in store.connection.execute(
                "select external_id from users order by user_id limit 40"
            ).fetchall()
        ]
        histories = [liked_items(store, user) for user in users]
    for history in histories:
        lines = [f"{domain}:{item}" for domain, item in history if domain in bundle.items]
        if not lines:
            continue
        one, other = (api.recommend(asked, history=lines) for asked in (bundle, expected))
        assert [it.item for it in one.recommendations] == [it.item for it in other.recommendations]
        assert [it.score for it in one.recommendations] == pytest.approx(
            [it.score for it in other.recommendations], abs=1e-4
        )


def test_without_the_packages_one_line_says_what_to_install(project, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_encoder, "find_spec", lambda _: None)
    settings = load_settings(assignments=SETTINGS)
    with pytest.raises(EncoderError, match=r"needs onnxruntime, onnx, onnxscript, .*mekb\[onnx\]"):
        api.make_bundle(project.store, project.model, tmp_path / "bundle", settings=settings)
    assert list(tmp_path.iterdir()) == []
