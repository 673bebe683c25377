"""Recommenders on one contract, one training loop and one evaluation.

A `Dataset` (`dataset`) is split into training rows and held-out users (`splits`); a model (`contract`,
`registry`) learns from it; `recommend` takes the best items of its scores; `evaluate` measures HR@K and
NDCG@K on held-out users. `embedme` is MeKB-Rec's dual encoder, `baselines` what it is measured against.
"""
