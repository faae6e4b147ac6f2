"""The paper's tables and figures as grids of runs that can be stopped and resumed."""
