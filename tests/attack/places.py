"""What everybody knows of a poll before it opens: where its voters may be registered, and which of
these places are pooled. A cell is named by a territory: the voters registered in it and nowhere
below. So a leaf is its own cell, and a series of numbers is about a set of cells."""

FEW_EXPECTED = 50


class Places:
    def __init__(self, definition, territories):
        """`territories`: of the tree, each with "code" and "parent" (None: a root)."""
        self.parent = {place["code"]: place["parent"] for place in territories}
        self.children = {code: [] for code in self.parent}
        for code in sorted(self.parent):
            if self.parent[code] is not None:
                self.children[self.parent[code]].append(code)
        self.order = []  # of the tree: a parent first, siblings by code
        for code in sorted(code for code, parent in self.parent.items() if parent is None):
            self._walk(code)
        self.cells = self._cells_of_targets(definition)
        self.all = frozenset(self.cells)
        self._below = {}
        for code in reversed(self.order):
            below = {code} & self.all
            self._below[code] = frozenset(below.union(*(self._below[c]
                                                        for c in self.children[code])))
        self.listed = [code for code in self.order if self._below[code]]
        self.pools = self._pools(definition.get("expected_voters") or {})

    def _walk(self, code):
        self.order.append(code)
        for child in self.children[code]:
            self._walk(child)

    def _cells_of_targets(self, definition):
        """With an address for a target voters may come from anywhere."""
        targets = {target.get("territory") for target in definition["targets"]}
        if None in targets:
            return list(self.order)
        return [code for code in self.order if targets & set(self.path(code))]

    def path(self, code):
        """From the territory itself up to its root."""
        while code is not None:
            yield code
            code = self.parent[code]

    def below(self, code):
        """The cells of a territory with everything below it. A code that no tree has, has one."""
        return self._below.get(code, frozenset([code]))

    def is_leaf(self, code):
        return not self.children.get(code)

    def smallest_holder(self, cells):
        paths = [list(self.path(cell)) for cell in cells]
        return next((code for code in paths[0] if all(code in path for path in paths)), None)

    def _expected(self, code, expected):
        """A missing number counts as none."""
        below = sum(expected.get(child, 0) for child in self.children[code])
        return max(0, expected.get(code, 0) - below)

    def _pools(self, expected):
        """Every cell is in exactly one, often alone; a pool stands where its first cell stands."""
        families = {}
        for cell in self.cells:
            family = (self.parent[cell] or cell) if self.is_leaf(cell) else cell
            families.setdefault(family, []).append(cell)
        place = {cell: at for at, cell in enumerate(self.cells)}
        pools = []
        for family in families.values():
            size = {cell: self._expected(cell, expected) for cell in family}
            rest = sorted(family, key=lambda cell: (size[cell], cell))
            pool = [cell for cell in rest if size[cell] < FEW_EXPECTED]
            rest = rest[len(pool):]
            while pool and rest and sum(size[cell] for cell in pool) < FEW_EXPECTED:
                pool.append(rest.pop(0))
            pools += [[cell] for cell in rest] + ([pool] if pool else [])
        pools = [tuple(sorted(pool, key=place.get)) for pool in pools]
        return sorted(pools, key=lambda pool: place[pool[0]])
