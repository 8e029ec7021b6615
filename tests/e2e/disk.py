"""A disk that loses power: from what a program did to files, what may be found afterwards.

Strict, as POSIX allows it: bytes of a file are safe once it was synced, a name in a folder once the folder was. What was
not, may be there, be missing, or be there in part.
"""
import os


class File:
    def __init__(self, data=b"", xattrs=None):
        self.data, self.xattrs = data, dict(xattrs or {})
        self.safe, self.safe_xattrs = data, dict(self.xattrs)

    def sync(self):
        self.safe, self.safe_xattrs = self.data, dict(self.xattrs)


class Folder:
    def __init__(self):
        self.names = {}  # as the program sees them
        self.safe = {}   # as they are on the disk


class Disk:
    def __init__(self, root):
        """What lies below a folder now is safe."""
        self.folders = {"/": Folder()}
        for folder, folders, files in os.walk(root):
            here = "/" + os.path.relpath(folder, root).removeprefix(".").lstrip("/")
            self.folders.setdefault(here, Folder())
            for name in folders:
                child = Folder()
                self.folders[os.path.join(here, name)] = child
                self._put(here, name, child, safe=True)
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                self._put(here, name, File(content, {key: os.getxattr(path, key) for key in os.listxattr(path)}), safe=True)

    def _put(self, folder, name, what, safe=False):
        self.folders[folder].names[name] = what
        if safe:
            self.folders[folder].safe[name] = what

    def _find(self, path):
        folder, name = os.path.split(path)
        return self.folders[folder].names.get(name)

    def play(self, lines):
        for line in lines:
            word, *rest = line.split(" ")
            getattr(self, word)(*(part.rstrip("\n") for part in rest))

    def create(self, path):
        self._put(*os.path.split(path), File())

    def write(self, path, data):
        self._find(path).data += bytes.fromhex(data)

    def xattr(self, path, name, value):
        self._find(path).xattrs[name] = bytes.fromhex(value)

    def sync(self, path):
        if path in self.folders:
            self.folders[path].safe = dict(self.folders[path].names)
        else:
            self._find(path).sync()

    def link(self, old, new):
        self._put(*os.path.split(new), self._find(old))

    def rename(self, old, new):
        self._put(*os.path.split(new), self._find(old))
        self.unlink(old)

    def unlink(self, path):
        folder, name = os.path.split(path)
        self.folders[folder].names.pop(name, None)

    def mkdir(self, path):
        child = self.folders.setdefault(path, Folder())
        self._put(*os.path.split(path), child)

    def after_power_cut(self, root, dice=None):
        """Write what is found to an empty folder. `dice`: each thing that was not safe may have made it, whole or in
        part; without, nothing of it has."""
        self._write("/", self.folders["/"], root, dice)

    def _write(self, path, folder, target, dice):
        os.makedirs(target, mode=0o700, exist_ok=True)
        names = dict(folder.safe)
        for name in {*folder.names, *folder.safe}:
            if dice and folder.names.get(name) is not folder.safe.get(name) and dice.random() < 0.5:
                names.pop(name, None)
                if name in folder.names:
                    names[name] = folder.names[name]
        for name, what in names.items():
            if isinstance(what, Folder):
                self._write(os.path.join(path, name), what, os.path.join(target, name), dice)
            else:
                self._write_file(what, os.path.join(target, name), dice)

    @staticmethod
    def _write_file(file, target, dice):
        data, xattrs = file.safe, file.safe_xattrs
        if dice and file.data != file.safe and dice.random() < 0.6:
            data = file.data[:dice.randint(0, len(file.data))]
        with open(target, "wb") as out:
            out.write(data)
        os.chmod(target, 0o600)
        for name, value in xattrs.items():
            os.setxattr(target, name, value)
