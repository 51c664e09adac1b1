"""The whole flow of a run, top to bottom: samples, captions, ballots, evidence, tuned readers, answers, scores."""
