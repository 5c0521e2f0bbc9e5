"""The part of CloudWatch's metric math that the alarms use, and when an alarm fires.

Rules from the CloudWatch user guide (using-metric-math, alarms-and-missing-data): a comparison is 1 or 0, what is computed
with a missing value is missing, FILL replaces missing values, MAX of a list takes the largest at each point in time.
"""

import ast
import operator

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Lt: operator.lt, ast.Gt: operator.gt, ast.LtE: operator.le, ast.GtE: operator.ge}
COMPARISONS = {"GreaterThanThreshold": operator.gt, "LessThanThreshold": operator.lt}


def with_missing(compute, *values):
    return None if None in values else compute(*values)


def value(expression, at):
    """The expression at one point in time, where `at` has the metrics by ID; None is a missing value."""

    def of(node):
        match node:
            case ast.Constant(value=number):
                return number
            case ast.Name(id=name):
                return at[name]
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                answer = with_missing(OPERATORS[type(op)], of(left), of(right))
                return None if answer is None else answer + 0
            case ast.Call(func=ast.Name(id="FILL"), args=[series, other]):
                found = of(series)
                return of(other) if found is None else found
            case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
                found = of(condition)
                return None if found is None else of(then if found else otherwise)
            case ast.Call(func=ast.Name(id="MAX"), args=[ast.List(elts=series)]):
                return with_missing(max, *[of(one) for one in series])
        raise ValueError(f"no rule for {ast.dump(node)}")

    return of(ast.parse(expression, mode="eval").body)


def breaching(alarm, at):
    (expression,) = [query["expression"] for query in alarm["metric_query"] if query["return_data"]]
    found = value(expression, at)
    if found is None:
        return alarm["treat_missing_data"] == "breaching"
    return COMPARISONS[alarm["comparison_operator"]](found, alarm["threshold"])


def fires(alarm, series):
    """Whether the alarm fires at any point of a list of points."""
    periods = alarm["evaluation_periods"]
    found = [breaching(alarm, at) for at in series]
    return any(all(found[end - periods : end]) for end in range(periods, len(found) + 1))
