"""What MLflow says of a target's versions, asked by the tests alone."""

import warnings

from features.kit.home import Home


def alias_version(home: Home, target: str, *, alias: str = "champion") -> str | None:
    """Returns the bundle version that an alias names in MLflow, or None."""
    with warnings.catch_warnings(action="ignore"):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient(f"sqlite:///{(home.mlruns / 'mlflow.db').resolve()}")
        try:
            return str(client.get_model_version_by_alias(target, alias).tags["bundle_version"])
        except MlflowException:
            return None
