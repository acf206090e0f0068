"""Predictions of a fitted model."""

import warnings

from data import generate
from systems import Mixfast

from . import SMALL


class Predict:
    params = [list(SMALL)]
    param_names = ["case"]

    def setup(self, letter):
        warnings.simplefilter("ignore")
        problem = generate(SMALL[letter])
        self.X, self.model = problem.X, Mixfast(problem).fit(2)

    def time_predict(self, letter):
        self.model.predict(self.X)

    def time_predict_proba(self, letter):
        self.model.predict_proba(self.X)

    def time_score_samples(self, letter):
        self.model.score_samples(self.X)
