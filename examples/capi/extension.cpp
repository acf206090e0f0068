// Fits to many small problems in an extension module in C++, by Python's own API; nanobind and pybind11 change only how
// arrays come and go.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <mixfast.h>

#include <limits>
#include <vector>

static const mixfast_api *api;

// fit_means(plan.capsule, offset of the means, X as a buffer of doubles (n_problems, n_rows)) -> list of (K,) means
static PyObject *fit_means(PyObject *, PyObject *args) {
    PyObject *capsule, *rows_of_problems;
    Py_ssize_t first;
    Py_buffer X;
    if (!PyArg_ParseTuple(args, "OnO", &capsule, &first, &rows_of_problems)
        || PyObject_GetBuffer(rows_of_problems, &X, PyBUF_C_CONTIGUOUS) != 0)
        return nullptr;
    auto plan = static_cast<const mixfast_plan *>(PyCapsule_GetPointer(capsule, MIXFAST_PLAN));
    int64_t K = 0, n_params = 0;
    size_t bytes = 0;
    if (plan == nullptr || X.ndim != 2 || X.itemsize != sizeof(double)
        || api->sizes(plan, &K, nullptr, &n_params, nullptr, nullptr) != MIXFAST_DONE
        || api->room(plan, X.shape[1], 1, &bytes) != MIXFAST_DONE) {
        PyBuffer_Release(&X);
        return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_ValueError, "X should be two-dimensional, of float64");
    }
    const Py_ssize_t n_problems = X.shape[0], n_rows = X.shape[1];
    std::vector<double> params(static_cast<size_t>(n_problems * n_params)), weights(static_cast<size_t>(K));
    std::vector<char> room(bytes);
    int code = MIXFAST_DONE;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n_problems && code == MIXFAST_DONE; i++) {
        mixfast_view rows{static_cast<const double *>(X.buf) + i * n_rows, n_rows, sizeof(double), sizeof(double), nullptr};
        weights[0] = std::numeric_limits<double>::quiet_NaN(); // a start is found
        code = api->fit(plan, &rows, static_cast<uint64_t>(i), 1, room.data(), bytes, weights.data(),
                        params.data() + i * n_params, nullptr);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&X);
    if (code != MIXFAST_DONE)
        return PyErr_Format(PyExc_ValueError, "%s", api->message(code));
    PyObject *found = PyList_New(n_problems);
    for (Py_ssize_t i = 0; found != nullptr && i < n_problems; i++) {
        PyObject *means = PyTuple_New(K);
        for (Py_ssize_t k = 0; means != nullptr && k < K; k++)
            PyTuple_SET_ITEM(means, k, PyFloat_FromDouble(params[static_cast<size_t>(i * n_params + first + k)]));
        PyList_SET_ITEM(found, i, means);
    }
    return found;
}

static PyMethodDef methods[] = {{"fit_means", fit_means, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_extension() {
    api = static_cast<const mixfast_api *>(PyCapsule_Import(MIXFAST_API, 0));
    return api == nullptr ? nullptr : PyModule_Create(&module);
}
