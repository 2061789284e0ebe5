"""What a problem may tell: the rule and the place, never a folder of this machine."""

import pytest

from serving.api.errors import without_folders


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            "v3: its golden row comes out differently",
            "/data/insight/bundles/churn/v3: its golden row comes out differently",
        ),
        ("v3: refused", "mlruns/bundles/churn/v3: refused"),
        ("portrait.parquet: no portrait", "./a/../portraits/x/portrait.parquet: no portrait"),
        ("home: no feeds have landed", "/tmp/home: no feeds have landed"),
        ("no model predicts 'wealth'", "no model predicts 'wealth'"),
        ("purposes: service, care", "purposes: service, care"),
    ],
)
def test_folders_are_left_out(told, message):
    """Of a path only the last part is told; everything else stays."""
    assert told == without_folders(message)
