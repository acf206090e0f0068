"""Counter-based random numbers: known answers, and the twin."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, polygamma

from mixfast._reference import random as reference
from mixfast.engine import _random

# Random123's known answers for philox4x32-10 (its kat_vectors): key, counter, words.
KNOWN_ANSWERS = [
    (0, [0] * 4, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    (2**64 - 1, [2**32 - 1] * 4, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        0x299F31D0A4093822,
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("key", "counter", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(doors, key, counter, words):
    out = np.empty(4, np.uint32)
    doors.philox_words(key, np.array(counter, np.uint32), out)
    assert out.tolist() == words
    assert reference.philox(key, counter) == words


def test_uniforms_equal_the_twins():
    out = np.empty(300)
    _random.fill_uniform(2**63 + 12345, 7, 3, out)
    np.testing.assert_array_equal(out, reference.uniforms(2**63 + 12345, 7, 3, 300))


def test_streams_differ_by_seed_start_and_purpose():
    streams = []
    for seed, start, purpose in [(0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 0, 2)]:
        out = np.empty(1000)
        _random.fill_uniform(seed, start, purpose, out)
        streams.append(out)
        assert 0 <= out.min()
        assert out.max() < 1
        assert abs(out.mean() - 0.5) < 4 / np.sqrt(12 * 1000)
    assert np.abs(np.corrcoef(streams) - np.eye(4)).max() < 0.15


@pytest.mark.parametrize("shape", [0.01, 0.3, 1.0, 2.5, 1e4])
def test_streams_have_the_distributions_that_they_name(doors, shape):
    normals, logs = np.empty(20_000), np.empty(20_000)
    doors.fill_normal(3, 1, 8, 5, normals)
    doors.fill_log_gamma(3, 1, 8, 6, shape, logs)
    assert stats.kstest(normals, "norm").pvalue > 1e-3
    # exp(log variate) underflows for small shapes, which the distribution function takes for what they are
    assert stats.kstest(np.exp(logs), stats.gamma(shape).cdf).pvalue > 1e-3
    error = np.sqrt(polygamma(1, shape) / len(logs))
    assert abs(logs.mean() - digamma(shape)) < 4 * error


def test_a_stream_depends_on_where_it_begins(doors):
    streams = []
    for seed, sweep, purpose, index in [(0, 0, 8, 0), (1, 0, 8, 0), (0, 1, 8, 0), (0, 0, 9, 0), (0, 0, 8, 1)]:
        out = np.empty(1000)
        doors.fill_normal(seed, sweep, purpose, index, out)
        streams.append(out)
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlations).max() < 0.15
