"""Rules about imports that import-linter does not bring, for its configuration in pyproject.toml."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyPackages(Contract):
    """Packages that import nothing of others but what is named, and the standard library."""

    type_name = "only_packages"

    source_modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Looks at every direct import."""
        sources: list[str] = list(self.source_modules)  # type: ignore[call-overload]
        known = {*sys.stdlib_module_names, *sources, *self.allowed}  # type: ignore[misc]
        found = {
            f"{module} imports {imported}"
            for source in sources
            for module in (source, *graph.find_descendants(source))
            for imported in graph.find_modules_directly_imported_by(module)
            if imported.partition(".")[0] not in known
        }
        return ContractCheck(kept=not found, metadata={"found": sorted(found)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line each."""
        for line in check.metadata["found"]:
            output.print_error(line)


class NoCircleThroughPackages(Contract):
    """What a package's own module imports of the package does not lead back to it. (`acyclic_siblings` sees siblings.)"""

    type_name = "no_circle_through_packages"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Looks at each package and what it imports from within."""
        found = [
            " -> ".join([package, *chain])
            for package in sorted(graph.modules)
            if not graph.is_module_squashed(package)
            for inner in sorted(graph.find_modules_directly_imported_by(package))
            if inner.startswith(f"{package}.") and (chain := graph.find_shortest_chain(inner, package))
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line each."""
        for line in check.metadata["found"]:
            output.print_error(line)
