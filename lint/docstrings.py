"""Every public name has types, and a docstring as numpydoc wants it but for what is OFF: python lint/docstrings.py"""

from __future__ import annotations

import inspect
import sys
import warnings
from importlib import import_module

from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import mixfast

#: Checks that are switched off, and why.
OFF = {
    "ES01": "a summary that says it all needs no second paragraph",
    "EX01": "classes have examples; of their methods only those that surprise",
    "PR08": "a description may begin with a name of the formula: alpha > 0",
    "RT02": "results have names, as scikit-learn's have, which the text refers to",
    "RT04": "as PR08",
    "SA01": "estimators are compared on a page of the site, not by lists of each other",
    "SA04": "as SA01",
}
#: Classes that functions make and users only read: what is public are their attributes, not their constructors.
MADE_FOR_THE_USER = {
    "BatchMap",
    "BatchResult",
    "BootstrapInference",
    "BootstrapLRT",
    "Design",
    "Inference",
    "MergeTree",
    "MixtureMap",
    "Plan",
    "Selection",
    "Statistics",
    "Status",
    "Summary",
}
#: Public modules beside `mixfast` itself.
MODULES = ("capi", "plot")


def public_objects():
    """(name to import, the function or class itself, its class or None), each function once."""
    seen = set()
    homes = [("mixfast", mixfast), *((f"mixfast.{name}", import_module(f"mixfast.{name}")) for name in MODULES)]
    for home, module in homes:
        for name in getattr(module, "__all__", None) or own_functions(module):
            found = getattr(module, name)
            if found in seen:
                continue
            seen.add(found)
            yield f"{home}.{name}", found, None
            if inspect.isclass(found):
                for member in dir(found):
                    own = inspect.getattr_static(found, member)
                    own = own.fget if isinstance(own, property) else getattr(own, "__func__", own)
                    if member.startswith("_") or not callable(own) or own in seen:
                        continue
                    if (getattr(own, "__module__", None) or "").startswith("mixfast"):  # others are scikit-learn's
                        seen.add(own)
                        yield f"{home}.{name}.{member}", own, found


def own_functions(module):
    return [
        name
        for name, found in vars(module).items()
        if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_")
    ]


def described_attributes(cls):
    return {name.strip() for entry in ClassDoc(cls)["Attributes"] for name in entry.name.split(",")}


def complaints(name, found, cls):
    for code, text in validate(name)["errors"]:
        if code in OFF or (code == "PR01" and found.__name__ in MADE_FOR_THE_USER and inspect.isclass(found)):
            continue
        if code == "GL08" and cls is not None and name.rsplit(".", 1)[1] in described_attributes(cls):
            continue  # a property that the docstring of its class describes
        yield f"{name}: {code} {text}"
    function = inspect.unwrap(found.__init__ if inspect.isclass(found) else found)
    if inspect.isfunction(function) and not (inspect.isclass(found) and found.__name__ in MADE_FOR_THE_USER):
        untyped = [
            own.name
            for own in inspect.signature(function).parameters.values()
            if own.annotation is own.empty and own.name not in ("self", "cls")
        ]
        if inspect.signature(function).return_annotation is inspect.Signature.empty:
            untyped.append("its result")
        if untyped:
            yield f"{name}: has no types of {', '.join(untyped)}"
    if "s in `GaussianMixture`" in (found.__doc__ or ""):
        yield f"{name}: is described by another class: write it out, or take an entry of _docstrings.py"


def main():
    warnings.simplefilter("error")  # sections that numpydoc does not know
    names = list(public_objects())
    found = [complaint for name in names for complaint in complaints(*name)]
    print(*found, sep="\n")
    print(f"docstrings of {len(names)} public names: {len(found)} complaints")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
