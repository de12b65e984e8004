"""Which files of the user's a module on the host is made of, beside its own: what its folder's copy needs to be imported.

What has been imported is known; what functions import only when they are called is read from the sources. A module counts
as the user's when it lies neither in Python's own library nor where packages are installed.
"""
import ast
import importlib.machinery
import os
import site
import sys
import sysconfig

SOURCES = tuple(importlib.machinery.SOURCE_SUFFIXES)


def found(path):
    """Pairs of a file or package's folder, and its place from the folder that holds `path`, in the order of the places."""
    finder = Finder(path)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            finder.take(file)
    while finder.unread:
        finder.read(finder.unread.pop())
    return sorted(finder.places.items(), key=lambda pair: pair[1])


def installed():
    """Folders of modules that are not the user's."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += site.getsitepackages() + [site.getusersitepackages()]
    return [inside(folder) for folder in folders]


def inside(folder):
    """What the paths of a folder's files begin with, links followed."""
    return os.path.join(os.path.realpath(folder), "")


class Finder:
    def __init__(self, path):
        self.module = os.path.realpath(path)
        root = os.path.dirname(path)
        # A domain may itself lie among installed packages, and is the user's all the same.
        self.own = inside(root)
        self.installed = [folder for folder in installed() if not self.own.startswith(folder)]
        self.folders = [root]
        if len(self.installed) == len(installed()):
            others = [os.path.abspath(folder) for folder in sys.path if folder and os.path.isdir(folder)]
            self.folders += [folder for folder in dict.fromkeys(others) if not self.is_installed(folder) and folder != root]
        self.places = {}
        self.seen = set()
        self.unread = [path]

    def is_installed(self, path):
        return inside(path).startswith(tuple(self.installed))

    def take(self, file):
        """Notes a module's file, or the package that it belongs to; what that imports is still to be read."""
        file = os.path.abspath(file)
        if file in self.seen:
            return
        self.seen.add(file)
        beneath = [folder for folder in self.folders if file.startswith(os.path.join(folder, ""))]
        if not beneath or self.is_installed(file) or os.path.realpath(file) == self.module or not os.path.isfile(file):
            return
        # A package is taken whole: it may read files beside itself.
        folder = max(beneath, key=len)
        top, above = file, os.path.dirname(file)
        while above != folder and os.path.isfile(os.path.join(above, "__init__.py")):
            top, above = above, os.path.dirname(above)
        if top not in self.places:
            self.places[top] = os.path.relpath(top, folder)
            self.unread += sources(top)

    def read(self, path):
        """Takes what a source's statements import, wherever they stand."""
        try:
            with open(path, "rb") as file:
                tree = ast.parse(file.read())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.resolve(alias.name, self.folders)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    self.resolve(f"{node.module}.{alias.name}", self.folders)
            elif isinstance(node, ast.ImportFrom):
                # From beside itself: of a package that is taken whole, or one without __init__.py.
                folder = os.path.dirname(os.path.abspath(path))
                for _ in range(node.level - 1):
                    folder = os.path.dirname(folder)
                for alias in node.names:
                    self.resolve(f"{node.module}.{alias.name}" if node.module else alias.name, [folder])

    def resolve(self, name, folders):
        """Takes the modules along a dotted name, as far as they are modules."""
        for part in name.split("."):
            specification = importlib.machinery.PathFinder.find_spec(part, folders)
            if specification is None:
                return
            if specification.origin and specification.has_location:
                self.take(specification.origin)
            folders = list(specification.submodule_search_locations or [])
            if not folders:
                return


def sources(place):
    """A source, or all of a folder."""
    if os.path.isfile(place):
        return [place] if place.endswith(SOURCES) else []
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(place)
        for name in names
        if name.endswith(SOURCES)
    ]
