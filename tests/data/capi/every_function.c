/* Every function of the C interface, in memory that is exactly as large as it says, for many plans and shapes of rows.
 * Under valgrind it finds what is read or written beside. Prints a line for each plan. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <mixfast.h>
#include <stdlib.h>
#include <string.h>

static const char *SCRIPT =
    "from mixfast import BernoulliMixture, CategoricalMixture, ExponentialMixture, GaussianMixture, StudentTMixture, capi\n"
    "rows = 'random_from_data'\n"
    "models = [GaussianMixture(2, covariance_type=c, max_iter=5) for c in ('full', 'tied', 'diag', 'spherical', 'VVE')]\n"
    "models += [StudentTMixture(2, covariance_type=c, init_params=rows, max_iter=5) for c in ('full', 'tied', 'diag')]\n"
    "models += [ExponentialMixture(2, init_params=rows), BernoulliMixture(2, max_iter=5)]\n"
    "models += [CategoricalMixture(2, categories=[[0, 1]] * 3, init_params='random', max_iter=5)]\n"
    "models += [GaussianMixture(3, n_init=3, n_init_policy='halving', init_params='k-means++')]\n"
    "models += [GaussianMixture(3, n_init=2, init_params='random', accelerate='auto')]\n"
    "plans = [capi.plan(m, 3, t) for m in models for t in ('float64', 'float32')]\n"
    "capsules, sizes = [p.capsule for p in plans], [p.dtype.itemsize for p in plans]\n"
    "names = [repr(p) for p in plans]\n";

static const mixfast_api *api;

static PyObject *item(const char *name, Py_ssize_t i) {
    return PyList_GetItem(PyObject_GetAttrString(PyImport_AddModule("__main__"), name), i);
}

/* Zeros and ones, which are in every domain, in places of their own: strides may be anything. */
static char *make_rows(int64_t n, size_t size, int backwards, mixfast_view *view) {
    char *memory = malloc(size * 3 * (size_t)(n > 0 ? n : 1));
    for (int64_t i = 0; i < 3 * n; i++) {
        const double value = (double)((i * 2654435761u >> 7) & 1);
        if (size == sizeof(double))
            ((double *)memory)[i] = value;
        else
            ((float *)memory)[i] = (float)value;
    }
    const int64_t s = (int64_t)size;
    view->data = backwards && n > 0 ? memory + s * (3 * n - 1) : memory;
    view->row_stride = backwards ? -3 * s : s; /* by columns, or by rows from the end */
    view->column_stride = backwards ? -s : n * s;
    view->n_rows = n;
    view->weight = NULL;
    return memory;
}

static int check(int code, const char *verb, int *n_bad) {
    if (code != MIXFAST_DONE && code != MIXFAST_NO_NUMBERS && code != MIXFAST_BAD_ARGUMENT) {
        printf("%s: %s\n", verb, api->message(code));
        ++*n_bad;
    }
    return code;
}

static int try_rows(const mixfast_plan *plan, size_t size, int64_t n, int n_threads, int backwards, int weighted) {
    int64_t K, n_params, n_sums;
    size_t bytes, pass_bytes, other_bytes, table_bytes, one_bytes;
    void *one_room = NULL;
    mixfast_view view;
    mixfast_report report;
    int32_t status;
    int n_bad = 0;
    api->sizes(plan, &K, NULL, &n_params, &n_sums, &table_bytes);
    api->room(plan, n, n_threads, &bytes);
    api->pass_room(plan, n, n_threads, &pass_bytes);
    api->pass_room(plan, 0, 1, &other_bytes);
    char *rows = make_rows(n, size, backwards, &view);
    double *weight = malloc(sizeof(double) * (size_t)(n > 0 ? n : 1));
    for (int64_t i = 0; i < n; i++)
        weight[i] = (double)(i % 3) + 0.5;
    view.weight = weighted ? weight : NULL;
    double *weights = malloc(sizeof(double) * (size_t)K), *params = malloc(sizeof(double) * (size_t)n_params);
    double *next_weights = malloc(sizeof(double) * (size_t)K), *next = malloc(sizeof(double) * (size_t)n_params);
    double *sums = calloc((size_t)n_sums, sizeof(double));
    double *densities = malloc(sizeof(double));
    int64_t *labels = malloc(sizeof(int64_t) * (size_t)(n > 0 ? n : 1));
    char *log_density = malloc(size * (size_t)(n > 0 ? n : 1)), *resp = malloc(size * (size_t)(K * (n > 0 ? n : 1)));
    void *room = malloc(bytes), *pass_room = malloc(pass_bytes), *other_room = malloc(other_bytes);
    void *tables = malloc(table_bytes);

    weights[0] = Py_NAN;
    if (check(api->fit(plan, &view, 7, n_threads, room, bytes, weights, params, &report), "fit", &n_bad) == MIXFAST_DONE) {
        check(api->fit(plan, &view, 7, n_threads, room, bytes, weights, params, &report), "fit again", &n_bad);
        check(api->evaluate(plan, weights, params, NULL, &view, n_threads, pass_room, pass_bytes, labels, log_density, resp),
              "evaluate", &n_bad);
        check(api->prepare(plan, weights, params, other_room, other_bytes, tables, table_bytes), "prepare", &n_bad);
        check(api->evaluate(plan, NULL, NULL, tables, &view, n_threads, pass_room, pass_bytes, labels, NULL, NULL),
              "evaluate with tables", &n_bad);
        check(api->gather(plan, weights, params, &view, n_threads, pass_room, pass_bytes, sums), "gather", &n_bad);
        memcpy(next_weights, weights, sizeof(double) * (size_t)K);
        memcpy(next, params, sizeof(double) * (size_t)n_params);
        check(api->maximise(plan, sums, other_room, other_bytes, next_weights, next, &status), "maximise", &n_bad);
        check(api->recentre(plan, weights, params, next_weights, next, other_room, other_bytes, sums), "recentre", &n_bad);
        if (n > 0) {
            view.n_rows = 1;
            api->pass_room(plan, 1, 1, &one_bytes);
            one_room = malloc(one_bytes);
            check(api->follow(plan, &view, 0.1, -1e300, one_room, one_bytes, next_weights, next, sums, labels, densities),
                  "follow", &n_bad);
            view.n_rows = n;
        }
        check(api->sample(plan, weights, params, 7, n, n, other_room, other_bytes, labels, rows), "sample", &n_bad);
    } else if (n >= 20) {
        printf("no fit: %d\n", (int)report.status);
        n_bad++;
    }
    free(rows), free(weight), free(weights), free(params), free(next_weights), free(next), free(sums), free(labels);
    free(log_density), free(resp), free(room), free(pass_room), free(other_room), free(tables);
    free(one_room), free(densities);
    return n_bad;
}

int main(int argc, char **argv) {
    const int n_threads = argc > 1 ? atoi(argv[1]) : 1;
    int n_bad = 0;
    Py_Initialize();
    if (PyRun_SimpleString(SCRIPT) != 0)
        return 1;
    api = PyCapsule_Import(MIXFAST_API, 0);
    const Py_ssize_t n = PyList_Size(PyObject_GetAttrString(PyImport_AddModule("__main__"), "capsules"));
    for (Py_ssize_t i = 0; i < n; i++) {
        const mixfast_plan *plan = PyCapsule_GetPointer(item("capsules", i), MIXFAST_PLAN);
        const size_t size = (size_t)PyLong_AsLong(item("sizes", i));
        const char *name = PyUnicode_AsUTF8(item("names", i));
        const int64_t numbers[] = {0, 1, 2, 3, 7, 20, 97, 300};
        PyThreadState *python = PyEval_SaveThread();
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
            for (int way = 0; way < 4; way++)
                n_bad += try_rows(plan, size, numbers[j], n_threads, way & 1, way >> 1);
        n_bad += try_rows(plan, size, 2500, n_threads, 0, 0);
        printf("%s\n", name);
        PyEval_RestoreThread(python);
    }
    return n_bad != 0;
}
