"""Rows of a Dirichlet process mixture as a mixture of such components reads them: columns, names, categories, parts."""

from __future__ import annotations

import copy

from sklearn.base import clone

#: What is learned of rows beside the posterior: their columns, what these may hold, sums of rows.
OF_ROWS = (
    "n_features_in_",
    "feature_names_in_",
    "column_names_in_",
    "columns_",
    "categories_",
    "totals_",
    "total_shares_",
)


class ReadByComponents:
    """Base of `DirichletProcessMixture`, before all others. Its *reader* is an estimator of the class of mixtures that
    has such components: it is asked how rows are read, and what it learns of them is kept."""

    def _reader(self):
        """A mixture of such components, with what the fit has learned of the rows."""
        reader = self._new_reader()
        for name in OF_ROWS:
            if name in vars(self):
                setattr(reader, name, vars(self)[name])
        if self._margins():
            reader.components_ = {name: own._reader() for name, own in self.components_.items()}
        return reader

    def _new_reader(self):
        reader = self._component().reader(type(self).__name__)
        reader._take_names_of_all(self)
        return reader

    def _learn_from(self, reader):
        """Keep what it has learned of the rows, and nothing of others."""
        for name in OF_ROWS:
            vars(self).pop(name, None)
            if name in vars(reader):
                setattr(self, name, vars(reader)[name])
        vars(self).pop("components_", None)
        if "components_" in vars(reader):
            self.components_ = {}
            for group in reader._groups(reader._column_names()):
                own = self.components_[group.name] = type(self)(group.part)
                own._learn_from(reader.components_[group.name])

    def _margins(self):
        return vars(self).get("components_", {})

    def _validate_rows(self, X, reset=True, **options):
        reader = self._reader()
        X = self._complete(reader, reader._validate_rows(X, reset=reset, **options))
        if reset:
            self._learn_from(reader)
        return X

    def _complete(self, reader, X):
        """The rows; ValueError where entries of numbers are missing."""
        if reader._has_gaps(X):
            raise ValueError(
                f"X contains NaN in a column of numbers, and {type(self).__name__} has no place for missing values "
                "there: leave such rows out, or fill them in"
            )
        return X

    def _prepare_rows(self, X):
        """Of an estimator without a fit, rows as one that is fitted to them reads them."""
        reader = self._new_reader()
        return self._complete(reader, reader._validate_rows(X))

    def _allows_nan(self, n_features):
        reader = self._new_reader()
        return reader._allows_nan(n_features) & ~reader._measured(n_features)

    def _reads(self, names):
        return self._new_reader()._reads(names)

    @property
    def _looks_up_names(self):
        return self._new_reader()._looks_up_names

    def _by_place(self, names):
        reader, places = self._new_reader(), list(range(len(names)))
        return self._renamed(reader, names, reader._by_place(names), places)

    def _by_name(self, names):
        reader, places = self._new_reader(), list(range(len(names)))
        return self._renamed(reader, places, reader._by_name(names), names)

    def _renamed(self, reader, columns, other, other_columns):
        """The estimator whose parts are those of another reader, which calls columns otherwise; without a fit."""
        if other is reader:
            return self
        names = _names_of_groups(reader, columns, other, other_columns)
        prior = self.prior and {names.get(name, name): own for name, own in self.prior.items()}
        renamed = clone(self).set_params(component=other.parts, prior=prior)
        renamed._take_names_of_all(other)
        return renamed

    def _learn_columns(self, n_features, names):
        reader = self._new_reader()
        named = reader if names is None else reader._by_name(names)
        if named is not reader:  # parts have the names of their columns
            renamed = _names_of_groups(reader, list(range(n_features)), named, names)
            self.prior = self._by_name(names).prior
            self.component = named.parts
            self.prior_ = {renamed[name]: own for name, own in self.prior_.items()}
            self.components_ = {renamed[name]: copy.copy(own) for name, own in self.components_.items()}
            self._remember_structure()
            parts = zip(self.components_.values(), named._groups(names), strict=True)
            for own, group in parts:
                own._learn_columns(len(group.places), [names[place] for place in group.places])
        elif self._margins():  # a copy has margins of its own
            self.components_ = {name: copy.copy(own) for name, own in self.components_.items()}
        reader = self._reader()
        reader._learn_columns(n_features, names)
        for name in OF_ROWS:
            if name in vars(reader):
                setattr(self, name, vars(reader)[name])

    @property
    def _accepts_missing(self):
        return self._new_reader()._accepts_missing


def _names_of_groups(reader, columns, other, other_columns):
    """name of a part -> that which it has where columns are called otherwise"""
    groups = zip(reader._groups(columns), other._groups(other_columns), strict=True)
    return {one.name: another.name for one, another in groups}
