"""The gate of mixtures of experts: which columns it has, its proportions, and what of these is published."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array

from mixfast._warnings import warn
from mixfast.families.experts import dense
from mixfast.families.family import is_sparse
from mixfast.in_messages import difference, one_name
from mixfast.proportions._gate import Gate
from mixfast.row_data import separated
from mixfast.tables import check_no_infinity, check_no_missing, feature_names, is_table, names_of
from mixfast.units import column_moments

#: The ridge shrinks the slopes of a gate of two components by at least 2 gate_alpha / (n var z), since no p (1 - p) is
#: above 1/4: a fit to 400 rows where that was 0.005 had slopes 1.4 % less, of 0.5 half of what they are.
NOTICED = 0.002


class MayHaveAGate:
    """Base of `MixtureOfExperts`, before those of mixtures with weights, which it has where `gate` is None."""

    def _fit_rows(self, X, sample_weight, init_params):
        super()._fit_rows(X, sample_weight, init_params)
        rows, data = separated(X)
        columns = data.get("gate", rows)
        if self.gate is not None and self._has_default("gate_alpha") and not is_sparse(columns):
            self._warn_of_units(columns, sample_weight)

    def _warn_of_units(self, columns, sample_weight):
        """Warn where the default of `gate_alpha` is no small ridge in the units of the gate's columns."""
        if self.n_components == 1:
            return
        total = len(columns) if sample_weight is None else np.sum(sample_weight)
        deviations = column_moments(columns, sample_weight)[1]
        shrunk = (deviations > 0) & (2 * self.gate_alpha > NOTICED * total * deviations**2)
        if np.any(shrunk):
            place = int(np.argmax(shrunk))
            name = one_name(self._terms_of_gate(len(shrunk))[place])
            warn(
                f"Rows differ by so little in the column {name} of the gate (standard deviation "
                f"{deviations[place]:.3g}) that gate_alpha={self.gate_alpha}, which is of slopes in the units of the "
                "columns, pulls its slopes towards 0: multiply the column so that it is of order 1, or set a smaller "
                "gate_alpha.",
                UserWarning,
            )

    def _proportions(self):
        if self.gate is None:
            return super()._proportions()
        n_columns = self._n_columns_of_gate()
        return self._gate_of_columns(n_columns, self._held_of_gate(n_columns))

    def _n_columns_of_gate(self):
        """The number of columns of the gate: of the rows read last, or else of `gate_coef_`."""
        known = vars(self).get("_n_gate_columns")
        return np.shape(self.gate_coef_)[1] if known is None else known

    def _n_columns_beside(self):
        """The number of columns of the gate that are appended to those of X; 0 if the gate has the columns of X."""
        return 0 if self.gate is None or self._is_gate_of_X() else self._n_columns_of_gate()

    def _is_gate_of_X(self):
        return isinstance(self.gate, str) and self.gate == "same"

    def _gate_of_columns(self, n_columns, held=None):
        """The `Gate` of so many columns of the encoded rows: the columns of X, or those that follow them."""
        known = vars(self).get("_n_columns_of_X")
        n_features = np.shape(self._each("coef_")[0])[-1] if known is None else known
        return Gate(0 if self._is_gate_of_X() else n_features, n_columns, float(self.gate_alpha), held=held)

    def _proportions_of_predictions(self):
        return None if self.gate is None else self._gate_of_columns(np.shape(self.gate_coef_)[1])

    def _weights_of(self, mixing):
        return mixing if self.gate is None else mixing[..., -self.n_components :]

    def _rounded_mixing(self, mixing, dtype):
        if self.gate is None:
            return super()._rounded_mixing(mixing, dtype)
        return mixing.astype(dtype).astype(np.float64)

    def _publish_mixing(self, mixing, dtype):
        if self.gate is None:
            super()._publish_mixing(mixing, dtype)
            return
        intercepts, slopes, shares = np.split(mixing, [self.n_components, len(mixing) - self.n_components])
        self.gate_intercept_ = intercepts.astype(dtype)
        self.gate_coef_ = slopes.reshape(self.n_components, -1).astype(dtype)
        self.weights_ = shares.astype(dtype)

    def _gates_of_many(self, mixing, dtype):
        """The attributes of the gates of many fits, by their names without underscore."""
        if self.gate is None:
            return {}
        K, n_columns = self.n_components, mixing.shape[-1] // self.n_components - 2
        intercepts, slopes, _ = np.split(mixing, [K, mixing.shape[-1] - K], axis=-1)
        return {
            "gate_coef": slopes.reshape(*mixing.shape[:-1], K, n_columns).astype(dtype),
            "gate_intercept": intercepts.astype(dtype),
        }

    def _mixing(self):
        if self.gate is None:
            return super()._mixing()
        numbers = self.gate_intercept_, np.ravel(self.gate_coef_), self.weights_
        return np.concatenate(numbers).astype(np.float64)

    def _learn_widths(self, n_features, row_data):
        super()._learn_widths(n_features, row_data)
        n_gate_columns = n_features
        if self._takes_gate_X():
            n_gate_columns = row_data["gate_X"].shape[1]
        elif self.gate is not None and not self._is_gate_of_X():
            n_gate_columns = len(self.gate)
        self._n_columns_of_X, self._n_gate_columns = n_features, n_gate_columns

    def _gate_columns(self, rows, gate_X, reset=False):
        """The columns of the gate that are not X itself, float64 (n_samples, n_columns), for validated rows; None if
        there is no gate, or gate='same'. Raises ValueError where gate_X does not fit to the gate, the rows or the
        fit."""
        if gate_X is not None and not self._takes_gate_X():
            raise ValueError(f"gate_X was given, and gate={self.gate!r}: set gate='gate_X'")
        if self._takes_gate_X():
            if gate_X is None:
                raise ValueError("gate='gate_X' needs the columns of the gate: pass gate_X")
            if not is_table(gate_X) and np.ndim(gate_X) != 2:
                raise ValueError(
                    f"gate_X should be (n_samples, n_columns), got the shape {np.shape(gate_X)}: a list of names "
                    "or numbers, gate_X=[...], tells columns of blocks and frames, reshape(-1, 1) makes one column"
                )
            check_no_infinity(gate_X, "gate_X")
            check_no_missing(gate_X, type(self).__name__, called="gate_X")
            self._check_gate_names(names_of(gate_X), reset)
            gate_X = check_array(gate_X, dtype=np.float64, input_name="gate_X", ensure_min_samples=0)
            if len(gate_X) != rows.shape[0]:
                raise ValueError(f"gate_X has {len(gate_X)} rows, X has {rows.shape[0]}")
            known = gate_X.shape[1]
            if not reset:
                known = self._n_columns_of_gate()
            if gate_X.shape[1] != known:
                raise ValueError(f"gate_X has {gate_X.shape[1]} columns, it had {known} in the fit")
            return gate_X
        if self.gate is None or isinstance(self.gate, str):
            return None
        return dense(rows[:, list(self._places_of("gate", self.gate))])

    def _check_gate_names(self, names, reset):
        """Keep the names of a table gate_X in a fit (`reset`), compare them in predictions: raises ValueError for
        others."""
        names = None if names is None else feature_names(names)
        if reset:
            vars(self).pop("gate_feature_names_in_", None)
            if names is not None:
                self.gate_feature_names_in_ = names
            return
        known = getattr(self, "gate_feature_names_in_", None)
        if names is not None and known is not None and list(names) != list(known):
            raise ValueError(f"gate_X should have the columns that it had in the fit: {difference(names, known)}")

    def _takes_gate_X(self):
        return isinstance(self.gate, str) and self.gate == "gate_X"
