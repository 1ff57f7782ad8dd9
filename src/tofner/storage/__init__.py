"""Object storage and local folders behind one set of functions: wherever tofner takes a path, it takes `s3://…` too.

A folder is stored whole or not at all. Its files go up first, in parallel; `_index.json`, with the size and sha256 of
each, goes last, by a conditional put. A folder exists once its index does: an upload that died leaves objects that no
reader looks at and the next try overwrites. Pointers (`latest.json`) move by conditional put, so of two writers one
wins and the other is told. Faults that may pass are tried again (see `storage/s3.py`), then become PassingFault; wrong
credentials, missing buckets and keys are BadInput at once.

Two writers of one folder: the first index wins, and a writer looks for it right before each of its files becomes
visible, so that it stops instead of writing into a committed folder. A put on its way at that very moment may still
land; readers find it by its sha256. So give folders with different contents different names.
"""

from tofner.storage.faults import NoSuchObject
from tofner.storage.folders import (
    check_writable,
    digest,
    fetch_folder,
    folder_index,
    remove_folder,
    store_by_content,
    store_folder,
)
from tofner.storage.index import INDEX, FileEntry, FolderIndex, file_sha256
from tofner.storage.local import disk_fault, disk_faults, local_faults
from tofner.storage.objects import (
    FileInfo,
    content_sha256,
    exists,
    file_etag,
    list_files,
    put_file,
    put_new_file,
    read_bytes,
    write_bytes,
)
from tofner.storage.pointers import PointerMoved, move_pointer, read_pointer
from tofner.storage.scratch import scratch_folder
from tofner.storage.server import BUCKET, LocalStore
from tofner.storage.streams import open_read
from tofner.storage.transfer import Progress
from tofner.storage.uri import absolute, is_place, is_s3, join

__all__ = [
    "BUCKET",
    "INDEX",
    "FileEntry",
    "FileInfo",
    "FolderIndex",
    "LocalStore",
    "NoSuchObject",
    "PointerMoved",
    "Progress",
    "absolute",
    "check_writable",
    "content_sha256",
    "digest",
    "disk_fault",
    "disk_faults",
    "exists",
    "fetch_folder",
    "file_etag",
    "file_sha256",
    "folder_index",
    "is_place",
    "is_s3",
    "join",
    "list_files",
    "local_faults",
    "move_pointer",
    "open_read",
    "put_file",
    "put_new_file",
    "read_bytes",
    "read_pointer",
    "remove_folder",
    "scratch_folder",
    "store_by_content",
    "store_folder",
    "write_bytes",
]
