"""Groups: other updates for other parameters, chosen by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from chainrule.errors import ConfigurationError
from chainrule.optimizers.updates import Optimizer, Tree, Update, UpdateScope, check_update, descends


@dataclass(frozen=True, init=False)
class Groups(Optimizer):
    """An update for each group of parameters, chosen by a pattern of their paths, and one for all others.

    Patterns are those of file names: "*.bias" is every bias, "0.*" all of the first layer. The first that fits counts;
    one that fits nothing is refused, and so are parameters that nothing is said for when there is no ``otherwise``.
    Each group has its own memory and its own numbers, whose names begin with the pattern
    ("numbers/*.bias.learning_rate"); ``Compose()`` leaves a group's directions as they are, and SGD(0.0) its weights.

    Differs from: PyTorch, where groups are lists of parameters with settings of one optimizer.

    >>> from chainrule.optimizers import SGD, Adam
    >>> Groups({"*.bias": SGD(0.1)}, otherwise=Adam()).groups[0][0]
    '*.bias'
    """

    groups: tuple[tuple[str, Update], ...]
    otherwise: Update | None

    def __init__(
        self, groups: Mapping[str, Update] | Iterable[tuple[str, Update]], otherwise: Update | None = None
    ) -> None:
        pairs = tuple(groups.items() if isinstance(groups, Mapping) else groups)
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
                raise ConfigurationError(
                    f'Groups: a group is a pattern and an update, {{"*.bias": SGD(0.1)}}, not {pair}'
                )
            check_update(f"Groups, {pair[0]!r}", pair[1])
        if otherwise is not None:
            check_update("Groups, otherwise", otherwise)
        object.__setattr__(self, "groups", pairs)
        object.__setattr__(self, "otherwise", otherwise)

    @property
    def descends(self) -> bool:
        """Whether the updates of all groups do."""
        others = [] if self.otherwise is None else [self.otherwise]
        return all(map(descends, [*(update for _, update in self.groups), *others]))

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The directions that each group's update gives, in the order in which they came."""
        chosen: dict[int, Tree] = {place: {} for place in range(len(self.groups) + 1)}
        for path, direction in directions.items():
            fitting = (place for place, (pattern, _) in enumerate(self.groups) if fnmatchcase(path, pattern))
            chosen[next(fitting, len(self.groups))][path] = direction
        moved: Tree = {}
        for place, (pattern, update) in enumerate(self.groups):
            if not chosen[place]:
                raise ConfigurationError(
                    f"Groups: {pattern!r} fits no parameter that is left; there are {', '.join(directions)}"
                )
            moved |= self._moved(update, scope.inside(place, pattern), chosen[place], parameters)
        rest = chosen[len(self.groups)]
        if rest and self.otherwise is None:
            raise ConfigurationError(f"Groups: nothing is said for {', '.join(rest)}; give otherwise=, such as Adam()")
        if rest and self.otherwise is not None:
            moved |= self._moved(self.otherwise, scope.inside(len(self.groups)), rest, parameters)
        return {path: moved[path] for path in directions if path in moved}

    def _moved(self, update: Update, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        return update.apply(scope, directions, {path: parameters[path] for path in directions})
