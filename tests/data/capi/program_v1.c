/* A program in C that fits mixtures: Python makes the plan, and is not needed after that.
 *
 *     cc program.c $(pkg-config --cflags mixfast) $(python3-config --includes --ldflags --embed) -o program
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <mixfast.h>
#include <stdlib.h>

enum { N_PROBLEMS = 100, N_ROWS = 500, K = 2 };

static const char *SCRIPT =
    "from mixfast import GaussianMixture, capi\n"
    "plan = capi.plan(GaussianMixture(2, covariance_type='diag'), n_features=1)\n"
    "capsule, means = plan.capsule, plan.layout['means'].offset\n";

static PyObject *variable(const char *name) {
    return PyObject_GetAttrString(PyImport_AddModule("__main__"), name);
}

int main(void) {
    Py_Initialize();
    if (PyRun_SimpleString(SCRIPT) != 0)
        return 1;
    const mixfast_api *api = PyCapsule_Import(MIXFAST_API, 0);
    PyObject *capsule = variable("capsule"), *offset = variable("means");
    const mixfast_plan *plan = PyCapsule_GetPointer(capsule, MIXFAST_PLAN);
    if (api == NULL || api->version < MIXFAST_API_VERSION || plan == NULL)
        return 1;
    const long means = PyLong_AsLong(offset);
    PyThreadState *python = PyEval_SaveThread(); /* from here on any thread may do what follows */

    int64_t n_params;
    size_t bytes, table_bytes;
    int code = api->sizes(plan, NULL, NULL, &n_params, NULL, &table_bytes);
    if (code == MIXFAST_DONE)
        code = api->room(plan, N_ROWS, 1, &bytes);
    double *params = malloc((size_t)n_params * sizeof(double)), weights[K], x[N_ROWS], log_density[N_ROWS];
    int64_t labels[N_ROWS];
    void *room = malloc(bytes), *tables = malloc(table_bytes);
    for (int i = 0; i < N_PROBLEMS && code == MIXFAST_DONE; i++) {
        for (int r = 0; r < N_ROWS; r++)
            x[r] = 5 * (r % 2) + (r * (37 + i) % 101) / 101.0;
        mixfast_view rows = {x, N_ROWS, sizeof(double), sizeof(double), NULL};
        mixfast_report report;
        weights[0] = Py_NAN; /* a start is found */
        code = api->fit(plan, &rows, (uint64_t)i, 1, room, bytes, weights, params, &report);
        if (code == MIXFAST_DONE)
            code = api->evaluate(plan, weights, params, NULL, &rows, 1, room, bytes, labels, log_density, NULL);
        if (code == MIXFAST_DONE)
            printf("%.17g %.17g %d %d %.17g\n", params[means], params[means + 1], (int)report.n_iter, (int)labels[0],
                   log_density[0]);
    }
    for (int i = 0; i < N_PROBLEMS && code == MIXFAST_DONE; i++) { /* row by row, with tables */
        mixfast_view row = {x + i, 1, sizeof(double), sizeof(double), NULL};
        int64_t label;
        code = i > 0 ? MIXFAST_DONE : api->prepare(plan, weights, params, room, bytes, tables, table_bytes);
        if (code == MIXFAST_DONE)
            code = api->evaluate(plan, NULL, NULL, tables, &row, 1, room, bytes, &label, NULL, NULL);
        if (code == MIXFAST_DONE && label != labels[i])
            printf("row %d has another label\n", i);
    }
    if (code != MIXFAST_DONE)
        fprintf(stderr, "%s\n", api->message(code));

    free(params);
    free(room);
    free(tables);
    PyEval_RestoreThread(python);
    Py_DECREF(capsule);
    Py_DECREF(offset);
    return Py_FinalizeEx() < 0 || code != MIXFAST_DONE;
}
