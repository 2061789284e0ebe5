"""What the store's tests run in fresh processes; importing it loads Feast."""

import os

import ibis  # noqa: F401 - loaded once for every child
import pyarrow.parquet  # noqa: F401 - loaded once for every child

from features.kit.runs import FAILPOINT_LOG_VARIABLE, FAILPOINT_VARIABLE
from features.store.loading import load_feast
from features.store.publish import publish
from features.store.registry import open_registry

load_feast()


def publish_and_die(home, as_of, settings, failpoint, log):
    """Publishes with a failpoint set."""
    os.environ[FAILPOINT_VARIABLE] = failpoint
    os.environ[FAILPOINT_LOG_VARIABLE] = log
    publish(home, as_of, settings=settings)


def open_and_list(home, settings, answers):
    """Opens the registry and answers the names of its services, or the error."""
    try:
        store = open_registry(home, settings)
        answers.put(sorted(one.name for one in store.list_feature_services()))
    except Exception as error:  # noqa: BLE001 - the test shows it
        answers.put(repr(error))
