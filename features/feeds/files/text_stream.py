"""A delivered text file as a stream of UTF-8 bytes, decoded strictly, a block at a time.

DuckDB cannot read GB18030 offline: told to ignore errors it returns no row, told another encoding it returns mojibake.
So files are decoded here, and what does not decode is an error that names the line:

    file --gzip?--> blocks of whole lines --strict decoder--> text --> UTF-8 for pyarrow
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import Any

from features.feeds.mapping.layout import File
from features.kit.errors import DataError

BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_GB = ("gb18030", "gbk", "gb2312")
# Two or more Chinese characters in UTF-8 between ASCII characters.
_UTF8_WORD = re.compile(rb"(?<![\x80-\xff])(?:[\xe4-\xe9][\x80-\xbf]{2}){2,}(?![\x80-\xff])")
_GB2312_WORD = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe])+")


def open_bytes(path: Path, file: File) -> Any:
    """Opens a file's uncompressed bytes. Raises DataError if it is not compressed as the mapping or its name says."""
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == _GZIP_MAGIC
    wanted = path.suffix == ".gz" if file.compression == "by_suffix" else file.compression == "gzip"
    if wanted and not is_gzip and path.stat().st_size:
        raise DataError(
            f"{path}: not gzip, as declared", remedy="deliver it compressed, or declare `compression: none`"
        )
    if is_gzip and not wanted:
        raise DataError(f"{path}: gzip, not plain text as declared", remedy="declare `compression: gzip`")
    return gzip.open(path, "rb") if wanted else path.open("rb")


def python_encoding(file: File) -> str:
    """Returns the codec of a file; UTF-8 also reads a byte-order mark."""
    name = codecs.lookup(file.encoding).name
    return "utf-8-sig" if name == "utf-8" else name


class Utf8Stream(io.RawIOBase):
    """Reads a text file as UTF-8 bytes; every damage is a DataError that names the file and the line.

    Attributes:
        line: Line ends read so far.
        ends_with_line_end: Whether the last character read is a line end.
    """

    def __init__(self, path: Path, file: File) -> None:
        self._path = path
        self._file = file
        self._raw = open_bytes(path, file)
        self._decoder = codecs.getincrementaldecoder(python_encoding(file))("strict")
        self._is_gb = codecs.lookup(file.encoding).name in _GB
        self._ready = memoryview(b"")
        self._bytes = 0
        self._ended = False
        self.line = 0
        self.ends_with_line_end = True

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with the next UTF-8 bytes; 0 at the end."""
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        """Closes the file."""
        self._raw.close()
        super().close()

    def _next(self) -> bytes:
        block = self._read()
        pending = self._decoder.getstate()[0]
        self._ended = not block
        try:
            text = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            offset = error.start - len(pending)
            raise self._encoding_error(self._bytes + offset, self.line + block[: max(0, offset)].count(b"\n")) from None
        if self._is_gb:
            self._refuse_utf8(block)
        if "\0" in text:
            line = self.line + text[: text.index("\0")].count("\n") + 1
            raise DataError(
                f"{self._path}: a NUL character in line {line}; this is not text in {self._file.encoding}",
                remedy="name the file's `encoding` in the mapping, such as utf-16",
            )
        if not self._bytes:
            text = text.removeprefix("\ufeff")
        self._bytes += len(block)
        self.line += text.count("\n")
        if text:
            self.ends_with_line_end = text[-1] in "\r\n"
        return text.encode("utf-8")

    def _read(self) -> bytes:
        try:
            block: bytes = self._raw.read(BLOCK_BYTES)
            rest: bytes = self._raw.readline(BLOCK_BYTES)
            return block + rest
        except EOFError:
            raise DataError(
                f"{self._path}: the gzip file is truncated (its end is missing after line {self.line})",
                remedy="deliver the file again",
            ) from None
        except (OSError, zlib.error) as error:
            raise DataError(
                f"{self._path}: the gzip file is damaged after line {self.line} ({error})",
                remedy="deliver the file again",
            ) from None

    def _encoding_error(self, byte: int, line: int) -> DataError:
        return DataError(
            f"{self._path}: not {self._file.encoding} at byte {byte}, line {line + 1}",
            remedy="name the file's `encoding` in the mapping, such as gb18030, or deliver the file again",
        )

    def _refuse_utf8(self, block: bytes) -> None:
        """Refuses Chinese text in UTF-8, which nearly always decodes as GB18030, to other characters.

        Words whose characters all are of GB2312's Chinese ones, which is nearly every word in use, are never taken for
        UTF-8; of UTF-8 words of two characters one or two in a hundred look like that.
        """
        for found in _UTF8_WORD.finditer(block):
            if not _GB2312_WORD.fullmatch(found.group()):
                line = self.line + block[: found.start()].count(b"\n") + 1
                raise DataError(
                    f"{self._path}: line {line} holds utf-8 text ('{found.group().decode('utf-8')}'), not "
                    f"{self._file.encoding}",
                    remedy="name the file's `encoding` in the mapping, or deliver the file again",
                )
