"""What a mapping declares about its files: encoding, compression, header, null marks, words, identifiers, check file."""

from __future__ import annotations

import gzip

import pytest

from features.feeds.landed.manifest import read_manifest
from features.kit.errors import ConfigurationError, DataError, InsightError, QuarantineLimitError

HEADER = ("用户标识", "状态", "失效日期", "流量(MB)")
ROWS = "".join(f"{n:018d}|正常|20991231|{n}.5\n" for n in range(1, 41))
TEXT = "|".join(HEADER) + "\n" + ROWS
CHECK = "文件|行数\nusers_202605.dat.gz|40\n"
SELECT = (
    'SELECT _file, _row, "用户标识" AS customer_id, DATE \'2026-01-01\' AS event_at, "状态" AS status, '
    '"失效日期" AS device_since FROM users'
)
LAYOUT = {
    "path": "*/users_*.dat.gz", "encoding": "gb18030", "delimiter": "|", "compression": "gzip",
    "header": list(HEADER), "null_values": ["", "\\N"], "null_values_of": {"失效日期": ["20991231"]},
    "words": {"状态": {"正常": "active", "销户": "closed"}}, "types": {"用户标识": "identifier"},
    "reject": {"not_18_digits:用户标识": 'length("用户标识") <> 18'}, "typical": {"流量(MB)": [1, 100]},
    "check_file": {"path": "*/check_*.txt", "file": "文件", "rows": "行数"},
}  # fmt: skip


@pytest.fixture
def users(operator):
    """Returns a small operator that delivers its customers in one declared layout."""

    def deliver(text=TEXT, *, check=CHECK, encoding="gb18030", name="202605/users_202605.dat.gz", cut=0, **layout):
        path = operator.data / name
        path.parent.mkdir(exist_ok=True)
        content = text if isinstance(text, bytes) else text.encode(encoding)
        packed = gzip.compress(content, mtime=0) if layout.pop("packs", True) else content
        path.write_bytes(packed[: len(packed) - cut])
        operator.write("202605/check_202605.txt", check, "gb18030")
        operator.files = {"users": LAYOUT | layout}
        operator.map("customers", SELECT, known_after="PT0S")
        del operator.files["customers"]
        operator.land()

    return deliver


def test_a_declared_layout_lands_with_leading_zeros_and_without_null_marks(operator, users):
    """Identifiers keep their 18 digits, 20991231 is no date, words are ours."""
    users()
    found = operator.rows("SELECT customer_id, status, device_since FROM customers ORDER BY ALL LIMIT 1")
    assert found == [("000000000000000001", "active", None)]


def test_characters_whose_second_byte_is_the_delimiter_stay_whole(operator, users):
    """In GB18030 the second byte of 倈 is that of `|`: rows are decoded before they are split."""
    assert "倈".encode("gb18030")[1:] == b"|"
    users(TEXT.replace("正常", "倈", 1), words={"状态": {"正常": "active", "倈": "closed"}})
    assert operator.rows("SELECT customer_id FROM customers WHERE status = 'closed'") == [("000000000000000001",)]


BAD_FILES = [
    ("utf-8", {"encoding": "utf-8"}, "the header is utf-8, not gb18030"),
    ("utf-16", {"encoding": "utf-16"}, "the header is utf-16, not gb18030"),
    ("one row in utf-8", {"text": TEXT.encode("gb18030") + "1|正常|x|1\n".encode()}, "line 42 holds utf-8 text"),
    ("not text", {"text": TEXT.encode("gb18030") + b"1|\xff|x|1\n"}, "not gb18030 at byte 1545, line 42"),
    ("not compressed", {"packs": False}, "not gzip, as declared"),
    ("compressed", {"compression": "none"}, "gzip, not plain text as declared"),
    ("truncated", {"cut": 20}, "the gzip file is truncated"),
    ("damaged", {"cut": 3}, "the gzip file is truncated"),
    ("delimiter", {"text": TEXT.replace("|", ",")}, "the delimiter is ',', not '|'"),
    ("no header", {"text": ROWS}, "the header is missing"),
    ("column gone", {"text": TEXT.replace("|状态", "")}, "the column '状态' is missing"),
    ("unit in the header", {"text": TEXT.replace("MB", "KB")}, "'流量(MB)' is missing; '流量(KB)' stands in its"),
    ("order", {"text": TEXT.replace("用户标识|状态", "状态|用户标识")}, "column 1 is '状态', not '用户标识'"),
    ("one column more", {"text": TEXT.replace("\n", "|x\n")}, "the column 'x' is not declared"),
    ("fewer rows", {"check": CHECK.replace("40", "41")}, "40 rows, 41 in the check file; truncated or incomplete"),
    ("more rows", {"check": CHECK.replace("40", "39")}, "40 rows, 39 in the check file; delivered with more"),
    ("not counted", {"check": "文件|行数\n"}, "users_202605.dat.gz: not named in a check file"),
    ("not delivered", {"check": CHECK + "users_202604.dat.gz|4\n"}, "users_202604.dat.gz: named in the check file and"),
    ("check file", {"check": CHECK.replace("行数", "rows")}, "the check file has no column '行数'"),
    ("count", {"check": CHECK.replace("40", "4o")}, "row 1 of the check file counts no rows ('4o')"),
    ("unit of the values", {"text": TEXT.replace(".5\n", "50.5\n")}, "the median of '流量(MB)' is 2,"),
    (
        "one spoilt identifier",
        {"text": TEXT.replace(f"{7:018d}", "1.23E+17")},
        "scientific_notation:用户标识 in 202605",
    ),
]


@pytest.mark.parametrize(("change", "named"), [case[1:] for case in BAD_FILES], ids=[case[0] for case in BAD_FILES])
def test_a_file_that_is_not_as_declared_is_named(operator, users, change, named):
    """One line says which file and what about it; nothing is landed."""
    with pytest.raises(DataError) as caught:
        users(**change)
    assert named in caught.value.message
    assert "202605" in caught.value.message
    assert "\n" not in str(caught.value)
    assert read_manifest(operator.home) is None


def test_a_lost_leading_zero_and_an_unknown_word_refuse_their_rows(users):
    """A shorter identifier is not another customer, and a new word of the operator is never guessed."""
    with pytest.raises(QuarantineLimitError, match=r"not_18_digits:用户标识 in 202605/users_202605.dat.gz row 1"):
        users(TEXT.replace("\n0", "\n"))
    with pytest.raises(QuarantineLimitError, match=r"unknown_word:状态 in 202605/users_202605.dat.gz row 1"):
        users(TEXT.replace("正常", "正常在用"))


def test_one_file_delivered_under_two_names_is_named(operator, users):
    """Both are counted, and still it is one file twice."""
    users()
    operator.write("202605/check_202605.txt", CHECK + "users_202606.dat.gz|40\n", "gb18030")
    path = operator.data / "202605" / "users_202605.dat.gz"
    path.with_name("users_202606.dat.gz").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"users_202606.dat.gz: the same content as 202605/users_202605.dat.gz"):
        operator.land()


def test_canary_without_the_check_file_a_truncated_month_would_land(operator, users):
    """With no check file declared a shorter file is a smaller month: the counts are what tells."""
    users(TEXT[: TEXT.index("\n", 400) + 1], check=CHECK, check_file=None)
    assert 0 < operator.rows("SELECT count(*) FROM customers")[0][0] < 40


def test_a_file_without_a_header_line_takes_the_declared_names(operator, users):
    """`headerless` needs the names, and rows are numbered from the first line."""
    users(ROWS, headerless=True)
    assert operator.rows("SELECT count(*) FROM customers") == [(40,)]
    with pytest.raises(ConfigurationError, match="'headerless' needs 'header'"):
        users(ROWS, headerless=True, header=[])


def test_defaults_hold_for_every_file_that_says_nothing_else(operator):
    """`file_defaults` saves the repetition; a file's own word wins."""
    operator.top = {"file_defaults": {"encoding": "gb18030", "delimiter": "|"}}
    operator.files["users"] = {"path": "x", "delimiter": ","}
    files = operator.source().files
    assert (files["customers"].encoding, files["customers"].delimiter) == ("gb18030", "|")
    assert (files["users"].encoding, files["users"].delimiter) == ("gb18030", ",")


@pytest.mark.parametrize(
    ("identifier", "is_lost"),
    [("1.23E+17", True), ("1.23457e+17", True), ("1E+17", True), ("1.2E17", True), ("12e4", False), ("A1.2", False)],
)
def test_an_identifier_in_scientific_notation_stops_any_feed(operator, identifier, is_lost):
    """Whatever the limit of bad rows and without any declaration; a hexadecimal id is an id."""
    operator.write("customers.csv", f"customer_id,event_at\n1,2025-01-01\n{identifier},2025-01-01\n")
    operator.map("customers", "SELECT * FROM customers", known_after="PT0S", max_quarantine_share=1)
    if is_lost:
        with pytest.raises(InsightError, match=r"scientific_notation:customer_id in customers\.csv row 2"):
            operator.land()
        assert read_manifest(operator.home) is None
    else:
        operator.land()
        assert operator.rows("SELECT customer_id FROM customers ORDER BY 1") == [("1",), (identifier,)]


def test_compact_times_are_local_times(operator):
    """20260501093000 and 20260501 are read like their longer forms."""
    operator.write("customers.csv", "customer_id,event_at\n1,20260501093000\n2,20260501\n3,2026050109\n")
    operator.map("customers", "SELECT * FROM customers", known_after="PT0S", max_quarantine_share=1)
    operator.land()
    assert operator.rows("SELECT customer_id, CAST(event_at AS VARCHAR) FROM customers ORDER BY 1") == [
        ("1", "2026-05-01 01:30:00"), ("2", "2026-04-30 16:00:00"),
    ]  # fmt: skip
