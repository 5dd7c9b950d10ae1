"""What `warouter up` takes when nobody says."""

from __future__ import annotations

import pytest

from warouter.local.counts import coreapps_for, webapps_for


@pytest.mark.parametrize(("cores", "webapps"), [(1, 1), (2, 1), (7, 1), (8, 2), (16, 4), (256, 16)])
def test_webapps_by_cores(cores: int, webapps: int) -> None:
    assert webapps_for(cores) == webapps


@pytest.mark.parametrize(("shards", "coreapps"), [(1, 3), (2, 3), (4, 5), (8, 9), (32, 33)])
def test_coreapps_by_shards(shards: int, coreapps: int) -> None:
    assert coreapps_for(shards) == coreapps
