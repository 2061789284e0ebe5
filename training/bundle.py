"""The format of a deployable model: the one door between training and serving.

A bundle is a folder of plain data, `bundles/<target>/<version>/`:

    manifest.json     what it is, and the sha256 of every other file; sealed by its own sha256
    model.txt         LightGBM's text format
    calibration.json  knots from raw score to propensity
    golden.json       100 feature vectors with their exact raw scores and propensities
    card.md           the model card, for people; beside it `card.zh.md`, `card.html`, `card.zh.html` and, drawn
                      after it serves, the pictures

Loading trusts nothing: hashes first, then a child process loads the model (a damaged LightGBM file kills the process
that reads it), then the golden rows must come out equal to the last bit; only then may a bundle serve.
This module imports numpy, the kit, the knots and (lazily) lightgbm, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from features.erasure.rewriting import remove_rows
from features.kit.arrays import Floats, Rows, Vectors
from features.kit.errors import BundleError, DataError
from features.kit.files import read_json, sha256_of, write_bytes, write_json
from features.kit.runs import hit
from training.knots import Calibration

FORMAT_VERSION = 1
GOLDEN_ROWS = 100
CHILD_SECONDS = 120.0
MANIFEST, MODEL, CALIBRATION, GOLDEN, CARD = "manifest.json", "model.txt", "calibration.json", "golden.json", "card.md"
JUDGED, EVALUATION = "judged.parquet", "evaluation.json"
CHAMPION, CHALLENGER = "champion.json", "challenger.json"
REQUIRED = (MODEL, CALIBRATION, GOLDEN, CARD)
_REFUSED = 3
_AGAIN = "train again on these portraits"
_MASKED = ("pandas", "sklearn", "pyarrow", "dask", "matplotlib", "graphviz")
_import_lock = threading.Lock()
_checked: set[str] = set()  # hashes of manifests, and so of all bytes, that a child of this process survived


class NamedFeature(Protocol):
    """What a model must know of a feature of a list."""

    @property
    def name(self) -> str:
        """Returns its name."""

    @property
    def kind(self) -> str:
        """Returns `number` or `category`."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Returns the values of a category in the order of their codes."""


@dataclass(frozen=True)
class BundleFeature:
    """One input of the model, by name; a category is coded by its position in `categories`."""

    name: str
    kind: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about itself."""

    target: str
    version: str  # the bundle's name below its target
    created_at: str  # when it was written, UTC, ISO
    portrait_identity: str  # feature list that the model reads, `portrait_v1-<8 hex>`
    features: tuple[BundleFeature, ...]  # the model's inputs, in the model's order
    base_rate: float  # share of positives in the newest test window
    lead_days: int
    horizon_days: int
    label_delay_days: int
    data_hash: str  # hash of the training rows and labels
    config_hash: str
    code_version: str  # version of the code that trained it, with its git commit where there is one
    model_hash: str = ""  # sha256 of the model text up to `parameters:` (which records the thread count)
    metrics: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Any] = field(default_factory=dict)  # features left out of training, with the reason
    lock_hash: str = ""  # hash of the locked dependencies that trained it
    files: dict[str, str] = field(default_factory=dict)  # sha256 of each file beside the manifest
    format_version: int = FORMAT_VERSION

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Returns the names of the model's inputs, in the model's order."""
        return tuple(feature.name for feature in self.features)


@dataclass(eq=False)
class LoadedBundle:
    """A verified model, ready to score. Thread-safe for reading."""

    folder: Path
    manifest: Manifest
    _booster: Any
    calibration: Calibration

    def margins(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns the raw scores of float32 [n, k] vectors in the model's order, float64 [n]."""
        return np.asarray(self._predict(values, threads, raw_score=True), dtype=np.float64).reshape(-1)

    def contributions(self, values: Vectors, *, threads: int = 1) -> Floats:
        """Returns what each feature adds to the raw score, float64 [n, k + 1]; the last column is the mean score."""
        result = np.asarray(self._predict(values, threads, pred_contrib=True), dtype=np.float64)
        return result.reshape(len(values), len(self.manifest.features) + 1)

    def gains(self) -> Floats:
        """Returns by how much the splits on each input lowered the training loss, float64 [k]."""
        return np.asarray(self._booster.feature_importance(importance_type="gain"), dtype=np.float64)

    def described(self) -> dict[str, Any]:
        """Returns LightGBM's description of the trees, with exact numbers."""
        description: dict[str, Any] = self._booster.dump_model()
        return description

    def propensity(self, margins: Floats) -> Floats:
        """Returns the propensities of raw scores, float64 [n]."""
        return self.calibration.propensity(margins)

    def positions(self, features: Sequence[NamedFeature], identity: str | None = None) -> Rows:
        """Returns where each input of the model stands in a feature list, intp [k].

        A list with other features beside the model's, as a later release makes it, is as good as the one that the model
        was trained on: inputs are found by name, and their codes must be the same.

        `features` are in the order of a vector; `identity` is their list's, None where it is known to fit.

        Raises:
            BundleError: If an input is missing, its codes are others, or names mean something else in that list.
        """
        wanted = self.manifest.portrait_identity
        if identity is not None and meaning_of(identity) != meaning_of(wanted):
            raise BundleError(f"{self.folder}: trained on portraits {wanted}, these are {identity}", remedy=_AGAIN)
        at = {feature.name: position for position, feature in enumerate(features)}
        missing = [name for name in self.manifest.feature_names if name not in at]
        if missing:
            raise BundleError(f"{self.folder}: the portrait lacks {', '.join(missing[:3])}", remedy=_AGAIN)
        places = [at[name] for name in self.manifest.feature_names]
        for place, trained in zip(places, self.manifest.features, strict=True):
            now = features[place]
            if now.kind != trained.kind or now.categories[: len(trained.categories)] != trained.categories:
                why = f"{self.folder}: the codes of '{trained.name}' are not those it was trained on"
                raise BundleError(why, remedy=_AGAIN)
        return np.array(places, dtype=np.intp)

    def _predict(self, values: Vectors, threads: int, **how: bool) -> Any:
        if values.ndim != 2 or values.shape[1] != len(self.manifest.features) or values.dtype != np.float32:
            raise DataError(
                f"{self.manifest.target}: expected float32 [n, {len(self.manifest.features)}], "
                f"got {values.dtype} {list(values.shape)}"
            )
        if not len(values):
            return np.empty(0)
        return self._booster.predict(np.ascontiguousarray(values), num_threads=threads, **how)


def meaning_of(identity: str) -> str:
    """Returns the version in an identity, `portrait_v1`: with the same one, equal names mean the same features."""
    return identity.partition("-")[0]


def import_lightgbm() -> Any:
    """Returns the lightgbm module, imported without pandas, scikit-learn and pyarrow unless they are loaded already.

    They cost seconds and nothing here needs them. Raw scores are bit-equal either way (tested).
    """
    with _import_lock:
        if "lightgbm" in sys.modules:
            return sys.modules["lightgbm"]
        masked = [name for name in _MASKED if name not in sys.modules]
        sys.modules.update(dict.fromkeys(masked))  # type: ignore[arg-type] # None is Python's mark for "do not import"
        try:
            import lightgbm
        finally:
            for name in masked:
                sys.modules.pop(name, None)
        return lightgbm


def model_name(feature: str) -> str:
    """Returns a feature's name inside the model text: itself, or a hash where LightGBM would refuse its characters."""
    if re.fullmatch(r"[A-Za-z0-9_]+", feature):
        return feature
    return "x" + hashlib.sha256(feature.encode()).hexdigest()[:12]


def model_hash(text: str) -> str:
    """Returns the sha256 of a model text up to `parameters:`, which would record the thread count."""
    return hashlib.sha256(text.split("\nparameters:", 1)[0].encode()).hexdigest()


def version_name(last_as_of: date, text: str, calibration: Calibration, *hashes: str) -> str:
    """Returns a version's name: the last as-of date it learned from, and 8 hex digits over all that it is."""
    digest = hashlib.sha256("|".join((model_hash(text), *hashes)).encode())
    digest.update(calibration.scores.tobytes() + calibration.propensities.tobytes())
    return f"{last_as_of:%Y%m%d}-{digest.hexdigest()[:8]}"


def write(bundles: Path, manifest: Manifest, model_text: str, calibration: Calibration, golden: Vectors, card: str,
          extra: dict[str, bytes] | None = None) -> Path:  # fmt: skip
    """Writes a bundle beside the others, whole or not at all, and returns its folder.

    A version that is there already and whole is kept as it is; a damaged one is replaced.

    The `manifest` is everything but `files` and `model_hash`, which are filled in here; `golden` are feature vectors,
    float32 [n, k], of which up to 100 are kept; `extra` are further files by name (pictures, the monitoring's
    reference), hashed like the others.
    """
    final = bundles / manifest.target / manifest.version
    if final.exists():
        try:
            verify(final)
        except BundleError:
            shutil.rmtree(final)
        else:
            return final
    draft = final.with_name(f".draft-{manifest.version}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    booster = _booster(model_text, manifest)
    loaded = LoadedBundle(draft, manifest, booster, calibration)
    rows = np.ascontiguousarray(golden[:GOLDEN_ROWS], dtype=np.float32)
    margins = loaded.margins(rows)
    write_bytes(draft / MODEL, model_text.encode())
    write_json(draft / CALIBRATION, {"scores": calibration.scores, "propensities": calibration.propensities})
    write_json(
        draft / GOLDEN,
        {
            "values": [[None if np.isnan(v) else float(v) for v in row] for row in rows],
            "margins": margins,
            "propensities": loaded.propensity(margins),
        },
    )
    write_bytes(draft / CARD, card.encode())
    for name, content in (extra or {}).items():
        write_bytes(draft / name, content)
    hit("bundle.before_manifest")
    files = {name: sha256_of(draft / name) for name in (*REQUIRED, *(extra or {}))}
    sealed = asdict(manifest) | {"files": files, "model_hash": model_hash(model_text)}
    write_bytes(draft / MANIFEST, _seal(sealed))
    hit("bundle.before_rename")
    draft.rename(final)
    hit("bundle.after_rename")
    return final


def add(folder: Path, names: Collection[str]) -> None:
    """Takes files that lie in a bundle's folder into its manifest; killed anywhere, the bundle is whole.

    Raises:
        BundleError: If the bundle is not as it was written.
    """
    verify(folder)
    before = sha256_of(folder / MANIFEST)
    body = _unsealed(read_json(folder / MANIFEST))
    body["files"] |= {name: sha256_of(folder / name) for name in names}
    write_bytes(folder / MANIFEST, _seal(body))
    if before in _checked:
        _checked.add(sha256_of(folder / MANIFEST))


def verify(folder: Path) -> Manifest:
    """Returns the manifest of a bundle whose every byte is as it was written. Loads no model.

    Raises:
        BundleError: Naming the file that is missing or changed.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
        content = orjson.loads(raw)
        body = _unsealed(content)
        if body.get("format_version") != FORMAT_VERSION:
            raise BundleError(f"{folder / MANIFEST}: format version {body.get('format_version')} is not known here")
        if _seal(body) != raw:
            raise BundleError(f"{folder / MANIFEST}: changed since it was written")
        features = tuple(BundleFeature(f["name"], f["kind"], tuple(f["categories"])) for f in body["features"])
        manifest = Manifest(**(body | {"features": features}))
        for name in (*REQUIRED, *manifest.files):
            if Path(name).name != name or manifest.files.get(name) != sha256_of(folder / name):
                raise BundleError(f"{folder / name}: changed since it was written")
    except (OSError, orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise BundleError(f"{folder}: not a whole bundle ({detail})", remedy="promote another version") from None
    return manifest


def check(folder: Path) -> Manifest:
    """Returns the manifest of a bundle that a child process, which may die of it, could load and score.

    The same bytes are checked once per process. Raises BundleError; this process is unharmed.
    """
    manifest = verify(folder)
    content = sha256_of(folder / MANIFEST)
    if content not in _checked:
        _check_in_child(folder)
        _checked.add(content)
    return manifest


def load(folder: Path, *, check_in_child: bool = True) -> LoadedBundle:
    """Returns a bundle that passed every check.

    Leave `check_in_child` on for every bundle that this process did not write itself: then `check` comes first.

    Raises:
        BundleError: If any check fails; this process is unharmed and may keep serving what it has.
    """
    manifest = check(folder) if check_in_child else verify(folder)
    try:
        knots = read_json(folder / CALIBRATION)
        calibration = Calibration(
            np.array(knots["scores"], dtype=np.float64), np.array(knots["propensities"], dtype=np.float64)
        )
        text = (folder / MODEL).read_text(encoding="utf-8")
        bundle = LoadedBundle(folder, manifest, _booster(text, manifest), calibration)
        golden = read_json(folder / GOLDEN)
        values = np.array(golden["values"], dtype=np.float32)
        margins = bundle.margins(values)
    except (DataError, KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"{folder}: cannot be read ({error})") from None
    same = _same_bits(margins, golden["margins"]) and _same_bits(bundle.propensity(margins), golden["propensities"])
    if not len(values) or not same:
        raise BundleError(f"{folder}: its golden rows come out differently", remedy="promote another version")
    return bundle


def pseudonym(customer_id: str) -> str:
    """Returns the 16 hex digits under which a bundle's judged rows know a customer."""
    return hashlib.sha256(customer_id.encode()).hexdigest()[:16]


def forget(root: Path, customer_ids: Collection[str]) -> dict[str, int]:
    """Takes customers' judged rows out of every bundle below a folder, copies included; returns the rows removed.

    Killed anywhere, a repeat completes it: the manifest names the new file before it takes the old one's place.
    """
    mine, rows = frozenset(map(pseudonym, customer_ids)), 0
    for path in sorted(root.rglob(JUDGED)) if root.exists() else ():
        body = _unsealed(read_json(path.parent / MANIFEST))
        following = path.with_name(f".next.{JUDGED}")
        if following.exists() and sha256_of(following) == body["files"][JUDGED]:
            following.replace(path)
        gone = remove_rows(path, mine, column="customer", into=following)
        if gone:
            body["files"] |= {JUDGED: sha256_of(following)}
            write_bytes(path.parent / MANIFEST, _seal(body))
            hit("bundle.after_forgetting")
            following.replace(path)
        rows += gone
    return {"judged_rows": rows} if rows else {}


def champion(bundles: Path, target: str) -> Path | None:
    """Returns the folder of the version that serves, or None. Raises BundleError if the pointer is damaged."""
    return _pointed(bundles, target, CHAMPION)


def challenger(bundles: Path, target: str) -> Path | None:
    """Returns the folder of the version that scores beside the champion and is never served, or None.

    Raises:
        BundleError: If the pointer is damaged.
    """
    return _pointed(bundles, target, CHALLENGER)


def _pointed(bundles: Path, target: str, name: str) -> Path | None:
    pointer = bundles / target / name
    if not pointer.exists():
        return None
    try:
        version = str(read_json(pointer)["version"])
    except (DataError, KeyError, TypeError) as error:
        raise BundleError(f"{pointer}: {error}", remedy=f"insight promote {target} VERSION") from None
    if Path(version).name != version:
        raise BundleError(f"{pointer}: '{version}' is not a version", remedy=f"insight promote {target} VERSION")
    return bundles / target / version


def _booster(text: str, manifest: Manifest) -> Any:
    lightgbm = import_lightgbm()
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise BundleError(f"{manifest.target} {manifest.version}: {error}") from None
    if booster.feature_name() != [model_name(name) for name in manifest.feature_names]:
        raise BundleError(f"{manifest.target} {manifest.version}: the model's inputs are not those of the manifest")
    return booster


def _same_bits(found: Floats, expected: list[float]) -> bool:
    return found.tobytes() == np.array(expected, dtype=np.float64).tobytes()


def _unsealed(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != "seal"}


def _seal(body: dict[str, Any]) -> bytes:
    """Returns the bytes of a manifest with the hash of its own content, so that no changed byte goes unseen."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
    seal = hashlib.sha256(orjson.dumps(body, option=options)).hexdigest()
    return orjson.dumps(body | {"seal": seal}, option=options | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _check_in_child(folder: Path) -> None:
    try:
        command = [sys.executable, "-m", "training.bundle", str(folder)]
        child = subprocess.run(command, capture_output=True, timeout=CHILD_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise BundleError(f"{folder}: loading took over {CHILD_SECONDS:.0f} s in a child process") from None
    printed = child.stderr.decode(errors="replace").strip() or "?"  # a broken model makes LightGBM print any bytes
    if child.returncode == _REFUSED:
        raise BundleError(printed.splitlines()[-1])
    if child.returncode < 0:
        raise BundleError(f"{folder}: the model kills the process that loads it (signal {-child.returncode})")
    if child.returncode:
        raise BundleError(f"{folder}: a child process could not load it: {printed[-200:]}")


def main(folder: str) -> int:
    """Loads one bundle in this (child) process and returns the exit code: 0 good, 3 refused."""
    try:
        load(Path(folder), check_in_child=False)
    except BundleError as error:
        print(error.message, file=sys.stderr)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
