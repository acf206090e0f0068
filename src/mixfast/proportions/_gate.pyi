from mixfast.proportions._proportions import Proportions

class Gate(Proportions):
    def __init__(self, first: int, n_columns: int, ridge: float, isa: str | None = None) -> None: ...
