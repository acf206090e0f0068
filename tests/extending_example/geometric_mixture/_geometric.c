/* Geometric components, p(x | k) = prod_j (1 - p_kj)^x_j p_kj, for mixfast: verbs of `family.h` in plain C, doubles only.
 *
 * Parameters: p[K][d]. Statistics: failures[K][d], the weighted sums of the rows. Tables: constant[K], slope[K][d]. A
 * Beta(2, 2) prior keeps p inside (0, 1). */
#include <Python.h>
#include <math.h>
#include <stdlib.h>

#include "family.h"

static void prepare(const mixfast_family *f, const double *log_weights, const double *params, double *work,
                    double *pivot, void *tables) {
    double *constant = tables, *slope = constant + f->n_components;
    (void)work, (void)pivot; /* the rows are wanted as they are */
    for (ptrdiff_t k = 0; k < f->n_components; k++) {
        constant[k] = log_weights[k];
        for (ptrdiff_t j = 0; j < f->n_features; j++) {
            constant[k] += log(params[k * f->n_features + j]);
            slope[k * f->n_features + j] = log1p(-params[k * f->n_features + j]);
        }
    }
}

static int log_density(const mixfast_family *f, const void *tables, const mixfast_chunk *chunk,
                       const mixfast_selection *selection, void *scratch, void *out_inout) {
    const double *constant = tables, *slope = constant + f->n_components, *columns = chunk->columns;
    (void)scratch;
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        double *out = (double *)out_inout + a * chunk->stride;
        ptrdiff_t k = selection->component[a];
        for (ptrdiff_t r = 0; r < chunk->stride; r++) out[r] = constant[k];
        for (ptrdiff_t j = 0; j < f->n_features; j++)
            for (ptrdiff_t r = 0; r < chunk->stride; r++)
                out[r] += slope[k * f->n_features + j] * columns[j * chunk->stride + r];
    }
    return 0;
}

static int accumulate(const mixfast_family *f, const void *tables, const mixfast_chunk *chunk,
                      const mixfast_selection *selection, const void *resp_in, void *scratch, double *stats) {
    const double *columns = chunk->columns;
    (void)tables, (void)scratch;
    for (ptrdiff_t a = 0; a < selection->n; a++) {
        const double *resp = (const double *)resp_in + a * chunk->stride;
        double *failures = stats + selection->component[a] * f->n_features;
        for (ptrdiff_t j = 0; j < f->n_features; j++)
            for (ptrdiff_t r = 0; r < chunk->n_rows; r++) failures[j] += resp[r] * columns[j * chunk->stride + r];
    }
    return 0;
}

static int maximise(const mixfast_family *f, const mixfast_totals *totals, double *work, double *params) {
    int status = MIXFAST_OK;
    (void)work;
    for (ptrdiff_t k = 0; k < f->n_components; k++) {
        if (totals->counts[k] == 0) status |= MIXFAST_EMPTIED_COMPONENT; /* what the prior says: one half */
        for (ptrdiff_t j = 0; j < f->n_features; j++) {
            ptrdiff_t i = k * f->n_features + j;
            params[i] = (totals->counts[k] + 1) / (totals->counts[k] + totals->stats[i] + 2);
        }
    }
    return status;
}

static double log_prior(const mixfast_family *f, const double *params) {
    double total = 0;
    for (ptrdiff_t i = 0; i < f->n_params; i++) total += log(params[i]) + log1p(-params[i]);
    return total;
}

static void free_family(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, MIXFAST_FAMILY_CAPSULE)); }

/* bind(n_components, n_features): the capsule */
static PyObject *bind(PyObject *module, PyObject *args) {
    Py_ssize_t n_components, n_features;
    mixfast_family *f;
    (void)module;
    if (!PyArg_ParseTuple(args, "nn", &n_components, &n_features)) return NULL;
    f = calloc(1, sizeof *f); /* verbs and sizes that are not named are none */
    if (!f) return PyErr_NoMemory();
    f->struct_size = sizeof *f;
    f->n_components = n_components, f->n_features = n_features;
    f->n_params = f->n_stats = n_components * n_features;
    f->n_tables = n_components * (1 + n_features);
    f->flops_per_row = n_components * (4 * n_features + 40);
    f->real_bytes = 8;
    f->prepare = prepare, f->log_density = log_density, f->accumulate = accumulate;
    f->maximise = maximise, f->log_prior = log_prior;
    return PyCapsule_New(f, MIXFAST_FAMILY_CAPSULE, free_family);
}

static PyMethodDef methods[] = {{"bind", bind, METH_VARARGS, "The capsule of a bound family."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_geometric", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__geometric(void) { return PyModule_Create(&definition); }
