"""Configuration is frozen, closed, and names what is wrong."""

from pathlib import Path

import pytest

from features.kit.config import Config, load_config, load_yaml
from features.kit.errors import ConfigurationError


class _Caps(Config):
    per_month: int
    per_year: int = 12


class _Policy(Config):
    caps: _Caps
    languages: tuple[str, ...] = ("zh",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caps: {per_mont: 2}", "unknown key 'caps.per_mont'; did you mean 'per_month'?"),
        ("caps: {}", "the key 'caps.per_month' is missing"),
        ("caps: {per_month: two}", "'caps.per_month': Input should be a valid integer"),
        ("caps: {per_month: 1}\ncaps: {per_month: 2}", "the key 'caps' is written twice"),
        ("caps: [", "line"),
        ("- caps", "expected keys and values, found list"),
    ],
)
def test_a_wrong_file_gets_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    """Every mistake is one line with the file and the key."""
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_config(_Policy, path)
    assert message in str(error.value)
    assert "policy.yaml" in str(error.value)
    assert "\n" not in str(error.value).strip()


def test_a_missing_or_mis_encoded_file_is_named(tmp_path: Path) -> None:
    """A missing file and a GBK file are told apart."""
    with pytest.raises(ConfigurationError, match="no such file"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "gbk.yaml").write_bytes("名: 值".encode("gbk"))
    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 0"):
        load_yaml(tmp_path / "gbk.yaml")


def test_the_hash_follows_the_content_and_nothing_else() -> None:
    """Equal content has an equal hash; any change of a value changes it."""
    one, two = _Policy(caps=_Caps(per_month=2)), _Policy(caps=_Caps(per_month=2), languages=("zh",))
    assert one.content_hash() == two.content_hash()
    assert one.content_hash() != _Policy(caps=_Caps(per_month=3)).content_hash()
