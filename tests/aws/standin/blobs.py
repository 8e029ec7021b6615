"""Named bytes with a head, on disk or in memory: what buckets keep their objects and parts in.

A blob is a line of JSON and a body. On disk it is written beside its place and renamed, so that a killed process
leaves whole blobs only. There is no fsync: a stand-in has to outlive its own death, not the machine's.
"""
import json
import os
import threading

UNFINISHED = ".new"


class Folder:
    def __init__(self, root):
        self.root = root

    def write(self, name, head, chunks):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        beside = f"{path}.{threading.get_ident()}{UNFINISHED}"
        with open(beside, "wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.writelines(chunks)
        os.replace(beside, path)

    def read(self, name, start=0, end=None):
        """The bytes [start, end) of a body."""
        with open(os.path.join(self.root, name), "rb") as file:
            file.readline()
            file.seek(start, os.SEEK_CUR)
            return file.read() if end is None else file.read(end - start)

    def delete(self, name):
        os.unlink(os.path.join(self.root, name))

    def heads(self, prefix):
        """(name, head) of every blob below a prefix, in order of name; what a kill left unfinished is removed."""
        found = (os.path.join(folder, file) for folder, _, files in os.walk(os.path.join(self.root, prefix))
                 for file in files)
        for path in sorted(found):
            if path.endswith(UNFINISHED):
                os.unlink(path)
                continue
            with open(path, "rb") as file:
                yield os.path.relpath(path, self.root), json.loads(file.readline())


class Memory:
    def __init__(self):
        self.blobs = {}

    def write(self, name, _head, chunks):
        self.blobs[name] = b"".join(chunks)

    def read(self, name, start=0, end=None):
        return self.blobs[name][start:end]

    def delete(self, name):
        del self.blobs[name]

    @staticmethod
    def heads(_prefix):
        return ()
