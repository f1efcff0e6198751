"""Tests of the page."""
def test_it(finished_study):
    assert (finished_study / "reports/index.html").exists()
