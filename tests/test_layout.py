"""What may import what inside a service: the table says it, the imports have to agree."""

import ast
from collections import defaultdict

import pytest
from documentation import ROOT, list_modules

MOST_LOOSE = 8  # modules of a service beside its folders

# Each folder with those that it imports from, and with the modules that it shows to others. The
# service's loose modules are "": the ones it shows there may be imported by everyone.
LAYOUT = {
    "backend": {
        "": ("routes files web journal monitoring open_inference serving worker instrumentation",
             "errors schemas settings"),
        "routes": ("batch open_inference monitoring journal web serving worker instrumentation",
                   "batch explain feedback health models monitoring open_inference predict"),
        "batch": ("web journal serving worker features", "batch download queue"),
        "files": ("serving worker features", "listing output pace pool sources warned"),
        "web": ("journal serving worker features instrumentation",
                "bodies entrance openapi problems security"),
        "open_inference": ("journal serving features", "codec protocol responder statistics"),
        "journal": ("monitoring serving worker features instrumentation",
                    "feedback journal ledger"),
        "monitoring": ("serving features instrumentation", "drift prometheus reports snapshot"),
        "serving": ("worker engines features instrumentation",
                    "catalogue explanation inference live loading manifests repository"),
        "worker": ("engines features",
                   "encodings exchange failures headers media model_worker nursery rows"),
        "engines": ("", "decoding engine leaf_bits lines trees"),
        "features": ("", "answers binning counts instances warnings"),
        "instrumentation": ("", "aggregation identifiers instruments logs tracing"),
    },
    "mlflow": {
        "": ("training publishing runs parallel table reading", "errors files"),
        "publishing": ("training table", "manifest publisher signing"),
        "training": ("runs table parallel",
                     "candidates comparison evaluation explanation feedback report rival"),
        "runs": ("", "tracker training_run unsent"),
        "table": ("reading", "cells columns dataset phrases"),
        "reading": ("", "fetching formats origin"),
        "parallel": ("", "cluster cores"),
    },
}  # fmt: skip


def read_imports(service):
    """Return every pair of a module and one of the service's own that it imports."""
    modules = {
        ".".join(path.relative_to(ROOT / service).with_suffix("").parts): path
        for path in list_modules(service)
    }
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ImportFrom(module=str(source), names=names):
                    found = {source, *(f"{source}.{name.name}" for name in names)}
                case ast.Import(names=names):
                    found = {name.name for name in names}
                case _:
                    continue
            yield from ((module, imported) for imported in found & set(modules))


def find_layout(service):
    """Return what each folder imports from, and which of its modules others import."""
    arrows, shown = defaultdict(set), defaultdict(set)
    for pair in read_imports(service):
        folder, source = (name.rpartition(".")[0].partition(".")[0] for name in pair)
        if folder != source:
            shown[source].add(pair[1].removeprefix(f"{source}."))
        if folder != source and source:
            arrows[folder].add(source)
    return arrows, shown


@pytest.mark.parametrize("service", LAYOUT)
def test_folders_import_only_what_the_table_says(service):
    arrows, shown = find_layout(service)

    for folder, (sources, modules) in LAYOUT[service].items():
        assert arrows.pop(folder, set()) == {*sources.split()}, folder
        assert shown.pop(folder, set()) == {*modules.split()}, folder
    assert (arrows, shown) == ({}, {})


@pytest.mark.parametrize("service", LAYOUT)
def test_arrows_run_one_way(service):
    left = {folder: {*sources.split()} for folder, (sources, _) in LAYOUT[service].items()}
    while free := [folder for folder, sources in left.items() if not sources & set(left)]:
        for folder in free:
            del left[folder]

    assert left == {}


@pytest.mark.parametrize("service", LAYOUT)
def test_loose_modules_are_few(service):
    assert len([*(ROOT / service).glob("*.py")]) <= MOST_LOOSE
