"""What an unknown file is: encoding, delimiter, compression, header; each answer comes from its bytes.

A file is decoded strictly as a whole, or up to `SAMPLE_BYTES` (then the look says so), by each encoding in turn; of
those that fit, the one whose characters are in use wins: GB18030 decodes nearly any bytes, but not to usual text.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

SAMPLE_BYTES = 64 << 20
SAMPLE_ROWS = 200_000
_CHUNK = 1 << 20
_DELIMITERS = (",", "|", "\t", ";", "^", "\x01", "~", "\x1e", "\x7f")
_USUAL_SHARE = 0.9
_NEVER_A_HEADER = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*|")
_BYTES_OF_ZIP = b"PK\x03\x04"
_BYTES_OF_GZIP = b"\x1f\x8b"


@dataclass
class FileLook:
    """What was seen of one file."""

    path: Path
    name: str  # relative to the data folder
    problem: str = ""  # why it cannot be mapped, or an empty string
    encoding: str = ""  # of text; empty for Parquet
    encoding_note: str = ""  # how sure that is, in words
    delimiter: str = ""
    compression: str = ""  # `gzip` or empty
    has_header: bool = True  # whether the first row names the columns
    header: tuple[str, ...] = ()  # the column names, or `column_1` ... without a header
    is_whole: bool = True  # whether every byte and row was read
    rows: int = 0
    broken_rows: int = 0  # rows among them with another number of values
    table: Any = field(default=None, repr=False)  # the sampled rows as text (pyarrow), `_row` left out


def look_at(path: Path, name: str) -> FileLook:
    """Returns what a file is; what cannot be read is said in `problem`."""
    look = FileLook(path, name)
    with path.open("rb") as raw:
        start = raw.read(4)
    if path.suffix in (".parquet", ".pq") or start == b"PAR1":
        return _parquet(look)
    look.compression = "gzip" if start.startswith(_BYTES_OF_GZIP) else ""
    look.problem = _wrong_wrapping(path, start)
    if not look.problem:
        try:
            text = _text(look)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            text = None
            look.problem = "the gzip stream is cut off; deliver the file again"
        if text is not None and not text.strip():
            look.problem = "empty"
        elif text is not None:
            _layout(look, text)
    return look


def _wrong_wrapping(path: Path, start: bytes) -> str:
    if start.startswith(_BYTES_OF_ZIP):
        return "a ZIP archive or a workbook; unpack it, or save it as CSV"
    if start.startswith(_BYTES_OF_GZIP) and path.suffix != ".gz":
        return "gzip without the ending .gz; rename it"
    if path.suffix == ".gz" and not start.startswith(_BYTES_OF_GZIP):
        return "the name says .gz, the content is not gzip"
    return ""


def _parquet(look: FileLook) -> FileLook:
    try:
        file = pq.ParquetFile(look.path)
        batch = next(file.iter_batches(batch_size=SAMPLE_ROWS), None)
    except (pa.ArrowInvalid, OSError) as error:
        look.problem = f"not a whole Parquet file ({str(error).splitlines()[0]})"
        return look
    schema = file.schema_arrow
    look.table = pa.table({name: [] for name in schema.names}, schema) if batch is None else pa.table(batch)
    look.header = tuple(schema.names)
    look.rows = look.table.num_rows
    look.is_whole = file.metadata.num_rows == look.table.num_rows
    return look


def _text(look: FileLook) -> str | None:
    """Returns the decoded sample, or None with a problem noted."""
    content = b"".join(_chunks(look))
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, note = "utf-16", "byte-order mark"
    elif content.startswith(codecs.BOM_UTF8):
        encoding, note = "utf-8-sig", "byte-order mark"
    elif content[:4096].count(0) > len(content[:4096]) // 4:
        encoding, note = "", "binary, or UTF-16 without a byte-order mark"
    elif content.isascii():
        encoding, note = "utf-8", "only ASCII: many encodings read it alike"
    else:
        encoding, note = _by_content(content, whole=look.is_whole)
    if not encoding:
        look.problem = note
        return None
    wrong = _first_wrong(content, encoding, whole=look.is_whole)
    if wrong is not None:
        look.problem = f"not {encoding} at byte {wrong}, although it begins so"
        return None
    look.encoding, look.encoding_note = encoding, note
    return codecs.getincrementaldecoder(encoding)("strict").decode(content, final=False)


def _by_content(content: bytes, *, whole: bool) -> tuple[str, str]:
    """Returns the encoding and what speaks for it, or no encoding and what is wrong."""
    first_wrong = _first_wrong(content, "utf-8", whole=whole)
    if first_wrong is None:
        return "utf-8", "every byte is valid UTF-8"
    shares = {name: share for name in _USUAL if (share := _usual_share(content, name, whole=whole)) is not None}
    best = max(shares, key=lambda name: shares[name], default=None)
    if best is None or shares[best] < _USUAL_SHARE:
        looked = ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) or "no encoding"
        return "", (
            f"no one encoding: not UTF-8 at byte {first_wrong}; share of usual characters: {looked}; a mixed or "
            "damaged file, deliver it again"
        )
    return best, f"not UTF-8 at byte {first_wrong}; {shares[best]:.1%} of its characters are usual in {best}"


def _chunks(look: FileLook) -> Iterator[bytes]:
    read = 0
    with gzip.open(look.path, "rb") if look.compression else look.path.open("rb") as raw:
        while chunk := raw.read(_CHUNK):
            read += len(chunk)
            yield chunk
            if read >= SAMPLE_BYTES:
                look.is_whole = not raw.read(1)
                return


def _first_wrong(content: bytes, encoding: str, *, whole: bool) -> int | None:
    """Returns the first byte that is not of the encoding, or None; a sample may end within a character."""
    try:
        codecs.getincrementaldecoder(encoding)("strict").decode(content, final=whole)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _is_usual_gb(char: str) -> bool:
    try:
        return len(char.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return "㐀" <= char <= "鿿" and char in _USUAL_BEYOND_GB2312


_USUAL_BEYOND_GB2312 = frozenset("镕喆堃玥珺昇祎甯翀旸昉赟芃瑀珩琤")
"""Characters of names and places that GB2312 lacks and operators' files have."""


def _is_usual_big5(char: str) -> bool:
    try:
        code = char.encode("big5")
    except UnicodeEncodeError:
        return False
    return b"\xa1\x40" <= code <= b"\xc6\x7e"


def _is_usual_latin(char: str) -> bool:
    return unicodedata.category(char)[0] == "L" or char in "€£§°´·–—‘’“”«»"


_USUAL = {"gb18030": _is_usual_gb, "big5": _is_usual_big5, "cp1252": _is_usual_latin}


def _usual_share(content: bytes, encoding: str, *, whole: bool) -> float | None:
    """Returns the share of the non-ASCII characters that are in everyday use, or None if it does not decode."""
    if _first_wrong(content, encoding, whole=whole) is not None:
        return None
    text = codecs.getincrementaldecoder(encoding)("strict").decode(content, final=False)
    counts = Counter(char for char in text if not char.isascii())
    usual = sum(count for char, count in counts.items() if _USUAL[encoding](char))
    share = usual / max(1, counts.total())
    # In Western text accents stand among letters; Chinese read as Western is runs of accents.
    if encoding == "cp1252" and counts.total() > 0.3 * max(1, sum(char.isalpha() for char in text)):
        return 0.0
    return share


def _layout(look: FileLook, text: str) -> None:
    """Finds delimiter and header, and reads the rows."""
    head = [line for line in re.split(r"\r\n|\n|\r", text[: 1 << 20])[:2000] if line]
    look.delimiter, widths = _delimiter(head)
    first = next(csv.reader(io.StringIO(text, newline=""), delimiter=look.delimiter), [])
    body = list(csv.reader(head[1:201], delimiter=look.delimiter))
    look.has_header = _is_header(first, [row for row in body if len(row) == len(first)])
    if len(set(first)) < len(first) and look.has_header:
        twice = next(name for name in first if first.count(name) > 1)
        look.problem = f"the column '{twice}' stands twice in the header"
        return
    look.header = tuple(first) if look.has_header else tuple(f"column_{n + 1}" for n in range(len(first)))
    if not look.is_whole:
        text = text[: text.rfind("\n") + 1]
    broken: list[Any] = []

    def note(row: Any) -> str:
        broken.append(row)
        return "skip"

    try:
        rows = pc.read_csv(
            pa.BufferReader(text.encode()),
            read_options=pc.ReadOptions(
                use_threads=False, column_names=list(look.header), skip_rows=int(look.has_header)
            ),
            parse_options=pc.ParseOptions(delimiter=look.delimiter, newlines_in_values=True, invalid_row_handler=note),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(look.header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        look.problem = f"not readable as CSV ({str(error).splitlines()[0]})"
        return
    look.broken_rows = len(broken)
    look.is_whole = look.is_whole and rows.num_rows <= SAMPLE_ROWS
    look.table = rows.slice(0, SAMPLE_ROWS)
    look.rows = rows.num_rows + len(broken)
    if broken and len(broken) > 0.2 * (len(broken) + rows.num_rows):
        look.problem = f"rows of different length ({', '.join(str(width) for width in widths[:4])} values)"


def _delimiter(lines: list[str]) -> tuple[str, list[int]]:
    """Returns the delimiter that gives the most lines one number of values above one, and the numbers it gives."""
    best, widths, score = ",", [1], (0.0, False, 0)
    for delimiter in _DELIMITERS:
        lengths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        counts = Counter(lengths)
        width, count = counts.most_common(1)[0] if counts else (1, 0)
        # Decimal commas give the rows below the header one number of values, but not the header.
        found = (round(count / max(1, counts.total()), 1), lengths[:1] == [width], width)
        if width > 1 and found > score:
            best, widths, score = delimiter, [w for w, _ in counts.most_common()], found
    return best, widths


def _is_header(first: list[str], body: list[list[str]]) -> bool:
    """Tells whether the first row names columns: it holds no value-like text and does not recur in its columns."""
    if not first or any(_NEVER_A_HEADER.fullmatch(cell.strip()) for cell in first):
        return False
    if not body:
        return True
    seen = [{row[place] for row in body} for place in range(len(first))]
    return not any(cell in values for cell, values in zip(first, seen, strict=True))
