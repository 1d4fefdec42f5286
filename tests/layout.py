"""Reads the #include lines of the sources against the layout: which folder may know which, and
which third-party library is included where. Usage: layout.py REPOSITORY"""

import pathlib
import re
import sys

# folder -> the project's folders that it may include
ARROWS = {
    "engine/model": ["engine/model"],
    "engine": ["engine"],
    "storage": ["storage", "engine/model"],
    "ingest/http": ["ingest/http", "engine/model"],
    "ingest": ["ingest", "engine"],
    "tools": ["tools", "ingest", "storage", "engine"],
}
# how an #include of a library begins -> where it may stand
LIBRARIES = {
    "boost/beast": ["ingest/http"],
    "boost/asio": ["ingest/http"],
    "rocksdb/": ["storage"],
    "librdkafka/": ["storage/kafka"],
    "openssl/": ["ingest/auth"],
    "sodium": ["ingest/auth"],
    "simdjson": ["ingest/auth", "ingest/wire"],
    "xxhash": ["engine/model", "engine/publish"],
    "google/protobuf": ["engine/model"],
    "prometheus/": ["ingest/api/metrics.cc"],
    "spdlog/": ["ingest/api/metrics.cc"],
    "CLI/": ["tools/veche"],
    "toml++": ["tools/veche/options.cc"],
    "unicode/": ["ingest/wire", "tools/veche"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def faults_of(path, root):
    name = path.relative_to(root).as_posix()
    own = max((folder for folder in ARROWS if name.startswith(folder + "/")), key=len)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        quote, target = found.groups()
        if quote == '"' and "/" in target and not any(
                target.startswith(folder + "/") for folder in ARROWS[own]):
            yield f"{name}:{number}: {own} must not include {target}"
        for library, places in LIBRARIES.items():
            if target.startswith(library) and not any(name.startswith(place) for place in places):
                yield f"{name}:{number}: {target} belongs into {', '.join(places)}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    sources = [path for folder in ("engine", "storage", "ingest", "tools")
               for path in sorted((root / folder).rglob("*")) if path.suffix in (".h", ".cc")]
    faults = [fault for path in sources for fault in faults_of(path, root)]
    print("\n".join(faults))
    print(f"{len(sources)} files, {len(faults)} faults")
    return 1 if faults or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
