"""A disk that loses what was not synced: records what a program does to a folder, and makes what a power cut may leave.

`record` runs a program under strace. `Disk` applies its system calls, up to any of them, to a model of a file system,
and `Disk.leave` writes into a folder what may be there after a power cut then. `cuts` does so for many points.

The model is the weakest that POSIX allows for a file system that is itself sound, as in Pillai et al., "All File
Systems Are Not Created Equal" (OSDI 2014):

- `fsync` of a file keeps its content, and nothing else: neither its name nor that of its folder.
- `fsync` of a folder keeps the entries of that folder: names that were made, linked, renamed and removed in it.
- Of the content that was not synced, any part may be there: nothing, a part of the writes with the last one torn, or
  the full length with blocks of zeros.
- Of the entries that were not synced, any subset may be there, in any combination, also of the same folder.
- A rename is there as a whole or not at all; the `fsync` of either of its folders keeps it.

Real file systems keep more: ext4 with its default options writes entries in their order, for example. So what stands
here stands there.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,write,writev,pwrite64,truncate,ftruncate,fallocate,fsync,fdatasync,"
    "link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,copy_file_range,sendfile,symlink,symlinkat"
)
UNKNOWN = {"writev", "truncate", "fallocate", "copy_file_range", "sendfile", "symlink", "symlinkat", "creat"}
"""Calls that this model does not know: it refuses them, so that no write is overlooked."""

HELPERS = Path(__file__).parent
BLOCK = 512
LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
UNFINISHED = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>")
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded."""

    name: str
    arguments: tuple[str, ...]
    result: int
    process: int

    def path(self, number):
        return bytes.fromhex(self.arguments[number].strip('"').replace("\\x", "")).decode()

    def content(self, number):
        text = self.arguments[number]
        assert text.endswith('"'), "strace has cut a write off"
        return bytes.fromhex(text.strip('"').replace("\\x", ""))


def missing():
    """Why programs cannot be recorded here; None if they can."""
    if not (strace := shutil.which("strace")):
        return "strace is not installed"
    test = subprocess.run([strace, "-f", "-o", os.devnull, "true"], check=False, capture_output=True, text=True)
    return test.stderr.strip() or "strace may not trace" if test.returncode else None


def record(script, *arguments, log):
    """Runs a Python program under strace; returns its system calls."""
    subprocess.run(
        ["strace", "-f", "-qq", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log),
         sys.executable, str(script), *map(str, arguments)],
        check=True, stdout=subprocess.PIPE, timeout=300,
    )  # fmt: skip
    return list(calls(log.read_text().splitlines()))


def calls(lines):
    """The calls in the lines of strace; one that another thread interrupts counts where it ends."""
    begun = {}
    for line in lines:
        if match := UNFINISHED.fullmatch(line):
            begun[match[1]] = match[2]
            continue
        whole = f"{match[1]} {begun.pop(match[1])}{match[2]}" if (match := RESUMED.fullmatch(line)) else line
        if (match := LINE.match(whole)) and int(match[4]) >= 0:
            yield Call(match[2], tuple(match[3].split(", ")), int(match[4]), int(match[1]))


@dataclass(eq=False)
class File:
    """The content of a file: now, when it was last synced, and what was written since."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes: where and what; None cuts the file off there."""

    def change(self, offset, content):
        self.changes.append((offset, content))
        apply(self.now, offset, content)

    def sync(self):
        self.synced, self.changes = bytes(self.now), []

    def leave(self, draw):
        """What may be on the disk."""
        kind = draw.choice(("nothing", "some", "holes", "all")) if self.changes else "all"
        if kind == "all":
            return bytes(self.now)
        content = bytearray(self.synced)
        if kind == "some":
            number = draw.randrange(len(self.changes))
            for offset, written in self.changes[:number]:
                apply(content, offset, written)
            offset, written = self.changes[number]
            apply(content, offset, written and written[: draw.randrange(len(written) + 1)])
        if kind == "holes":
            content = bytearray(self.now)
            for start in range(0, len(content), BLOCK):
                block = slice(start, min(start + BLOCK, len(content)))
                if content[block] != self.synced[block] and draw.random() < 0.5:
                    content[block] = bytes(block.stop - block.start)
        return bytes(content)


def apply(content, offset, written):
    if written is None:
        del content[offset:]
        content.extend(bytes(max(0, offset - len(content))))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(written)] = written


@dataclass(eq=False)
class Folder:
    """A folder; its entries are those of the disk."""


@dataclass
class Entry:
    """A change of entries: a name is given to something or, without it, taken away."""

    changes: tuple[tuple[Folder, str, "File | Folder | None"], ...]
    synced: bool = False


@dataclass
class Handle:
    """An open file or folder."""

    target: "File | Folder"
    position: int = 0
    appends: bool = False


class Disk:
    """What a program has done to the folder `root`, call after call.

    Args:
        root: the folder; all else is not looked at.
        ignored: `file` or `folder`: a sync of these does nothing, as if the program had left it out.
    """

    def __init__(self, root, *, ignored=()):
        self.root, self.ignored = str(root), ignored
        self.top = Folder()
        self.entries = []
        self.tree = {self.top: {}}
        self.open = {}
        self.said = ""
        self.changed = 0

    def do(self, call):
        """Applies a call; returns whether it changed anything here, or said anything."""
        before = self.changed
        if call.name in UNKNOWN:
            assert call.arguments[0] not in self.open, call
            assert all(self.root not in call.path(n) for n, text in enumerate(call.arguments) if "\\x2f" in text), call
        else:
            getattr(self, f"_{call.name.removesuffix('2').removesuffix('at')}")(call)
        return self.changed > before

    def _resolve(self, call, number):
        """The folder and the name that an argument means; None outside of the root."""
        path, directory = call.path(number), call.arguments[number - 1]
        if not path.startswith("/"):
            folder = self.open[directory].target if number and directory in self.open else None
            return folder and (folder, path)
        if path == self.root:
            return self.top, "."
        if not path.startswith(f"{self.root}/"):
            return None
        *parents, name = path.removeprefix(f"{self.root}/").split("/")
        folder = self.top
        for parent in parents:
            folder = self.tree[folder][parent]
        return folder, name

    def _target(self, folder, name):
        return folder if name == "." else self.tree[folder].get(name)

    def _change(self, *changes):
        self.changed += 1
        self.entries.append(Entry(changes))
        for folder, name, target in changes:
            self.tree[folder].pop(name, None)
            if target is not None:
                self.tree[folder][name] = target
            if isinstance(target, Folder):
                self.tree.setdefault(target, {})

    def _open(self, call):
        number = call.name == "openat"
        place, flags = self._resolve(call, int(number)), call.arguments[number + 1].split("|")
        self.open.pop(str(call.result), None)
        if place is None:
            return
        target = self._target(*place)
        if target is None:
            assert "O_CREAT" in flags, call
            target = File()
            self._change((*place, target))
        elif "O_TRUNC" in flags and target.now:
            self._write_at(target, 0, None)
        self.open[str(call.result)] = Handle(target, appends="O_APPEND" in flags)

    def _close(self, call):
        self.open.pop(call.arguments[0], None)

    def _dup(self, call):
        self.open.pop(str(call.result), None)
        if call.arguments[0] in self.open:
            self.open[str(call.result)] = self.open[call.arguments[0]]

    _dup3 = _dup  # and dup2

    def _lseek(self, call):
        if handle := self.open.get(call.arguments[0]):
            handle.position = call.result

    def _write(self, call):
        if call.arguments[0] == "1":
            self.said += call.content(1).decode()
            self.changed += 1
        elif handle := self.open.get(call.arguments[0]):
            offset = len(handle.target.now) if handle.appends else handle.position
            handle.position = offset + call.result
            self._write_at(handle.target, offset, call.content(1)[: call.result])

    def _pwrite64(self, call):
        if handle := self.open.get(call.arguments[0]):
            self._write_at(handle.target, int(call.arguments[3]), call.content(1)[: call.result])

    def _ftruncate(self, call):
        if handle := self.open.get(call.arguments[0]):
            self._write_at(handle.target, int(call.arguments[1]), None)

    def _write_at(self, file, offset, content):
        self.changed += 1
        file.change(offset, content)

    def _fsync(self, call):
        if (handle := self.open.get(call.arguments[0])) is None:
            return
        self.changed += 1
        if isinstance(handle.target, File) and "file" not in self.ignored:
            handle.target.sync()
        if isinstance(handle.target, Folder) and "folder" not in self.ignored:
            for entry in self.entries:
                entry.synced |= any(folder is handle.target for folder, _, _ in entry.changes)

    _fdatasync = _fsync

    def _mkdir(self, call):
        if place := self._resolve(call, int(call.name == "mkdirat")):
            self._change((*place, Folder()))

    def _unlink(self, call):
        if place := self._resolve(call, int(call.name == "unlinkat")):
            self._change((*place, None))

    _rmdir = _unlink

    def _two(self, call):
        numbers = (1, 3) if call.name in ("linkat", "renameat", "renameat2") else (0, 1)
        return [self._resolve(call, number) for number in numbers]

    def _link(self, call):
        source, target = self._two(call)
        if source and target:
            self._change((*target, self._target(*source)))

    def _rename(self, call):
        source, target = self._two(call)
        assert (source is None) == (target is None), call
        if source:
            self._change((*target, self._target(*source)), (*source, None))

    def leave(self, folder, draw):
        """Writes into a new folder what may be there after a power cut now."""
        entries = {parent: {} for parent in self.tree}
        share = draw.choice((0.0, 0.5, 1.0))
        for entry in self.entries:
            if entry.synced or draw.random() < share:
                for parent, name, target in entry.changes:
                    entries[parent].pop(name, None)
                    if target is not None:
                        entries[parent][name] = target
        contents = {}

        def write(directory, path):
            path.mkdir()
            for name, target in entries[directory].items():
                if isinstance(target, Folder):
                    write(target, path / name)
                else:
                    if target not in contents:  # two names of one file have one content
                        contents[target] = target.leave(draw)
                    (path / name).write_bytes(contents[target])

        write(self.top, folder)


def steps(trace, root):
    """The numbers of calls after which the disk, or what the program has said, is different."""
    disk = Disk(root)
    return [number for number, call in enumerate(trace, 1) if disk.do(call)]


def cuts(trace, root, numbers, folder, *, draw, ignored=()):
    """Lets the power fail after each of these numbers of calls. Gives the folder of what is left, and what was said."""
    disk, position = Disk(root, ignored=ignored), 0
    for number in sorted(numbers):
        for call in trace[position:number]:
            disk.do(call)
        position = number
        left = folder / "left"
        disk.leave(left, draw)
        try:
            yield left, disk.said
        finally:
            shutil.rmtree(left)
