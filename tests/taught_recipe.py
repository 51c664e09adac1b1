"""A recipe that a tiny model carries out in seconds: SUMEI with a verifier and a reader tuned, one task of the shop."""

from __future__ import annotations

TAUGHT = """
name: taught
benchmark: ecommmmu
tasks: [answerability_prediction]
samples_train: 8
samples_val: 4
samples_test: 2
test_splits: [test]
prompts: tiny
reader: hf:{model}
policies: [none, visuals:predicted/highest]
tune_on: [visuals:predicted/highest]
epochs: 1
batch: 4
max_tokens: 512
resamples: 20
"""
