import numpy as np

from amity.simulation.chance import between, draw, smooth, stream, uniform


def test_a_draw_depends_on_its_place_alone():
    key = stream(7, "weather")
    whole = uniform(key, np.arange(1000))
    assert np.array_equal(uniform(key, np.arange(400, 500)), whole[400:500])
    assert draw(key, 123) == whole[123]


def test_streams_differ_by_seed_and_by_name():
    positions = np.arange(100)
    drawn = [uniform(stream(seed, name), positions) for seed in (1, 2) for name in ("a", "b")]
    assert len({tuple(values) for values in drawn}) == 4


def test_draws_are_uniform():
    drawn = uniform(stream(1, "x"), np.arange(200_000))
    assert 0 <= drawn.min() < drawn.max() < 1
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert abs(counts - 10_000).max() < 500


def test_between_keeps_its_bounds():
    drawn = [between(stream(1, "y"), -3, 5, index) for index in range(500)]
    assert -3 <= min(drawn) < -2.5
    assert 4.5 < max(drawn) < 5


def test_smooth_goes_through_the_draws_without_steps():
    key = stream(3, "curve")
    assert np.allclose(smooth(key, np.arange(5.0)), uniform(key, np.arange(5)))
    fine = smooth(key, np.linspace(0, 10, 10_001))
    assert np.abs(np.diff(fine)).max() < 0.002
