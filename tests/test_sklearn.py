"""scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixfast import BernoulliMixture, CategoricalMixture, GaussianMixture, ProductMixture
from mixfast.parts import Bernoulli, Gaussian


def expected_failures(estimator):
    """Checks that are expected to fail, each with its reason."""
    reasons = {}
    if get_tags(estimator).input_tags.sparse:
        for container in ("matrix", "array"):
            reasons[f"check_estimator_sparse_{container}"] = (
                "the check takes what has predict_proba for a classifier and asks for its number of classes; "
                "test_sparse_rows fits and predicts sparse rows"
            )
    if isinstance(estimator, CategoricalMixture):
        reasons["check_sample_weight_equivalence_on_dense_data"] = (
            "values of rows of weight 0 are categories: without them the check could not predict these rows; "
            "test_categorical_mixture proves the property where they occur in other rows"
        )
    # nothing is random in one component, and a Bernoulli start is brought to the same end by the check's few binary rows
    elif estimator.n_components > 1 and not isinstance(estimator, BernoulliMixture):
        reasons["check_sample_weight_equivalence_on_dense_data"] = (
            "the check shuffles the rows and compares fits from a random start, whose draws depend on the order of "
            "rows; test_algebra and test_scikit_learn_drop_in prove the property from fixed starts"
        )
    return reasons


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        GaussianMixture(),
        GaussianMixture(2),
        GaussianMixture(2, covariance_type="tied", init_params="random_from_data"),
        GaussianMixture(2, covariance_type="diag", init_params="k-means++"),
        GaussianMixture(2, covariance_type="spherical", init_params="random"),
        GaussianMixture(2, covariance_type="diag", regularization="relative", canonical_order=True),
        BernoulliMixture(),
        BernoulliMixture(3, alpha=0.1),
        CategoricalMixture(),
        CategoricalMixture(2, alpha=0.1),
        ProductMixture([(Gaussian(),)]),
        ProductMixture([(0, Bernoulli(binarize=0.0)), (Gaussian("diag"),)], 2),
    ],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_estimators_keep_scikit_learns_contract(estimator, check):
    check(estimator)
