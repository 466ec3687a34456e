"""Zip files of strangers: opened without taking in a list of endless length."""

import zipfile
from typing import BinaryIO


class _ShortReads:
    """A file of which no more than some bytes are read at once.

    `zipfile` reads the list of a zip file in one piece, and makes an object of half a kilobyte of
    every 46 bytes in it. Entries are read in pieces as small as the reader wants.
    """

    def __init__(self, stream: BinaryIO, most: int):
        self._stream, self._most = stream, most
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, count: int = -1) -> bytes:
        if count > self._most:
            raise zipfile.BadZipFile(f"its list of files has more than {self._most >> 10} KiB")
        return self._stream.read(count)


def open_zip(stream: BinaryIO, most: int) -> zipfile.ZipFile:
    """Open a zip file for reading whose list of files is not longer than `most` bytes.

    Read entries in pieces of at most that many bytes, too.

    Raises:
        zipfile.BadZipFile: it is damaged or its list is longer.
    """
    return zipfile.ZipFile(_ShortReads(stream, most))
